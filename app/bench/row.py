"""Row: one line of the serving table, its columns, and how they are printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.bench.load import Load
from ml.bench.table import Column, number, render_columns

# The sentences that every speed is told in: the issue of speed is one of tokens, and sentences differ in length.
SENTENCE_TOKENS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured; None where there is nothing to measure. docs/benchmarks.md says what each counts.

    name: which measure; setting: which of its lines. sentences_per_second: as they are long. tokens_per_second: of
    them, each sentence's end counted. errors: requests without a sentence. seconds: of a start. rss_mb, pss_mb: 10^6
    bytes. ratio: over the row that `setting` or the note names. failed: it should have worked and did not.
    """

    name: str
    setting: str = ""
    requests_per_second: float | None = None
    sentences_per_second: float | None = None
    tokens_per_second: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    errors: int | None = None
    seconds: float | None = None
    rss_mb: float | None = None
    pss_mb: float | None = None
    ratio: float | None = None
    note: str = ""
    failed: bool = False

    @property
    def twenties_per_second(self) -> float | None:
        """Sentences of 20 tokens a second."""
        return None if self.tokens_per_second is None else self.tokens_per_second / SENTENCE_TOKENS


COLUMNS: Final[tuple[Column[Row], ...]] = (
    Column("row", lambda row: row.name, always=True, is_text=True),
    Column("setting", lambda row: row.setting or None, always=True, is_text=True),
    Column("requests/s", number("requests_per_second", ",.1f")),
    Column("sentences/s", number("sentences_per_second", ",.1f")),
    Column("tokens/s", number("tokens_per_second", ",.0f")),
    Column("of 20 tokens/s", number("twenties_per_second", ",.1f")),
    Column("p50 ms", number("p50_ms", ",.1f")),
    Column("p99 ms", number("p99_ms", ",.1f")),
    Column("errors", number("errors", ",d")),
    Column("s", number("seconds", ",.2f")),
    Column("RSS MB", number("rss_mb", ",.0f")),
    Column("PSS MB", number("pss_mb", ",.0f")),
    Column("ratio", number("ratio", ".2f")),
    Column("note", lambda row: row.note or None, is_text=True),
)


def render(rows: Sequence[Row]) -> str:
    """The table, without a newline at its end."""
    return render_columns(rows, COLUMNS)


def row_of_load(name: str, setting: str, load: Load, *, note: str = "") -> Row:
    """The row of a load."""
    return Row(
        name=name,
        setting=setting,
        requests_per_second=load.answers_per_second,
        sentences_per_second=load.sentences / load.seconds if load.sentences else None,
        tokens_per_second=load.tokens / load.seconds if load.sentences else None,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        errors=load.errors,
        note=note,
    )
