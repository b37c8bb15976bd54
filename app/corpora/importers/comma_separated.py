"""CSV and TSV with a header: the columns are found by the names that exports give them."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from app.corpora.errors import LineTooLong, MalformedFile
from app.corpora.importers.lines import LONGEST_LINE_BYTES, lines, open_text
from app.corpora.importers.post import Excluded, Post, external_id_of, post_of, time_of

# In the order of preference: `full_text` is what `text` was before it was cut.
TEXT_COLUMNS = ("full_text", "text", "tweet", "content", "body", "message", "status", "post")
ID_COLUMNS = ("tweet_id", "id_str", "status_id", "id")
TIME_COLUMNS = ("created_at", "timestamp", "date", "time", "datetime")
REPOST_COLUMN = "retweeted_status_id"
DELIMITERS = ",\t;|"


def read(path: Path) -> Iterator[Post | Excluded]:
    """The posts of a CSV file, in order. Raises MalformedFile without a header that names a text."""
    with open_text(path) as file:
        yield from read_stream(file)


def read_stream(stream: IO[bytes], *, where: str = "") -> Iterator[Post | Excluded]:
    """The same from an open stream of UTF-8, as inside an archive."""
    numbered = _bounded_records(stream, where)
    header_line = next(numbered, "")
    delimiter = max(DELIMITERS, key=header_line.count)
    header = next(csv.reader([header_line], delimiter=delimiter), [])
    columns = {name.strip().lower(): position for position, name in reversed(list(enumerate(header)))}
    text = _first(columns, TEXT_COLUMNS)
    if text is None:
        found = ", ".join(name.strip() for name in header)[:200] or "nothing"
        raise MalformedFile(
            f"{where}No column of the header is named as a text ({', '.join(TEXT_COLUMNS)}); the header has: {found}."
        )
    identity, time = _first(columns, ID_COLUMNS), _first(columns, TIME_COLUMNS)
    repost = columns.get(REPOST_COLUMN)
    try:
        for row in csv.reader(numbered, delimiter=delimiter):
            yield post_of(
                _cell(row, text),
                external_id=external_id_of(_cell(row, identity)),
                created_at=time_of(_cell(row, time)),
                reposted=bool(_cell(row, repost).strip()),
            )
    except csv.Error as error:
        raise MalformedFile(f"{where}The rows cannot be told apart: {error}. Save it as CSV once more.") from error


def has_text_column(header_line: str) -> bool:
    """Whether a line looks like the header of such a file: several columns, one of them a text's."""
    delimiter = max(DELIMITERS, key=header_line.count)
    names = [name.strip().lower() for name in next(csv.reader([header_line], delimiter=delimiter), [])]
    return any(name in TEXT_COLUMNS for name in names) and all(len(name) < 60 for name in names)


def _bounded_records(stream: IO[bytes], where: str) -> Iterator[str]:
    """Lines for the reader; a quoted field that never closes must not collect the rest of the file."""
    quotes = 0
    record_bytes = 0
    for number, line in lines(stream, where=where):
        quotes += line.count('"')
        record_bytes += len(line)
        if record_bytes > LONGEST_LINE_BYTES:
            raise LineTooLong(f'{where}A row that ends about line {number} is too long. Is a closing " missing?')
        if quotes % 2 == 0:
            record_bytes = 0
        # Old exports have bare carriage returns inside their fields, where the reader would end the row.
        yield line.removesuffix("\n").removesuffix("\r").replace("\r", " ") + "\n"


def _first(columns: Mapping[str, int], names: tuple[str, ...]) -> int | None:
    return next((columns[name] for name in names if name in columns), None)


def _cell(row: list[str], position: int | None) -> str:
    return row[position] if position is not None and position < len(row) else ""
