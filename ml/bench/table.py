"""Rows → one Markdown table, aligned so that it can be read as it is too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ml.bench.row import Row

NOTHING: Final = "–"

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """One column. always: shown in every table; others only where a row has something in them."""

    title: str
    cell: Callable[[RowT], str | None]
    always: bool = False
    is_text: bool = False


def number(name: str, pattern: str) -> Callable[[object], str | None]:
    """The cell of a figure: the attribute of that name in a format, empty where it is None."""

    def cell(row: object) -> str | None:
        value: float | None = getattr(row, name)
        return None if value is None else format(value, pattern)

    return cell


COLUMNS: Final[tuple[Column[Row], ...]] = (
    Column("system", lambda row: row.system, always=True, is_text=True),
    Column("parameters", number("parameters", ",d"), always=True),
    Column("train s", number("train_seconds", ",.1f"), always=True),
    Column("tokens/s", number("tokens_per_second", ",.0f"), always=True),
    Column("valid ppl", number("valid_perplexity", ",.2f"), always=True),
    Column("test ppl", number("test_perplexity", ",.2f"), always=True),
    Column("bits/byte", number("bits_per_byte", ".3f"), always=True),
    Column("reached s", number("reached_seconds", ",.1f")),
    Column("speed-up", number("speed_up", ".2f")),
    Column("fit s", number("fit_seconds", ".2f")),
    Column("score s", number("score_seconds", ".3f")),
    Column("scored/s", number("score_tokens_per_second", ",.0f")),
    Column("difference", number("largest_difference", ".1e")),
    Column("sentences/s", number("sentences_per_second", ",.1f")),
    Column("copied", number("copied_share", ".1%")),
    Column("verbatim", number("verbatim_share", ".1%")),
    Column("note", lambda row: row.note or None, is_text=True),
)


def render(rows: Sequence[Row]) -> str:
    """The table of a suite, without a newline at its end."""
    return render_columns(rows, COLUMNS)


def render_columns(rows: Sequence[RowT], columns: Sequence[Column[RowT]]) -> str:
    """The table of these columns, a line a row, without a newline at its end."""
    shown = [column for column in columns if column.always or any(column.cell(row) is not None for row in rows)]
    cells = [[_escaped(column.cell(row) or NOTHING) for column in shown] for row in rows]
    widths = [max(3, *(len(text) for text in texts)) for texts in zip([c.title for c in shown], *cells, strict=True)]
    rules = [
        "-" * width if column.is_text else "-" * (width - 1) + ":" for column, width in zip(shown, widths, strict=True)
    ]
    aligned = [
        [
            text.ljust(width) if column.is_text else text.rjust(width)
            for text, column, width in zip(line, shown, widths, strict=True)
        ]
        for line in ([column.title for column in shown], *cells)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in (aligned[0], rules, *aligned[1:]))


def _escaped(text: str) -> str:
    """A cell ends at a bar and a row at a line break."""
    return " ".join(text.replace("|", "\\|").split())
