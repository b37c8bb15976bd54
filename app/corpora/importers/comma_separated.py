"""CSV and its relatives (tabs, semicolons): a header, then a post a record."""

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from app.corpora.errors import MalformedFile
from app.corpora.importers import columns
from app.corpora.importers.columns import Columns
from app.corpora.importers.decoded_text import (
    LINE_LIMIT_CHARACTERS,
    file_chunks,
    lines,
    text_chunks,
    too_long,
)
from app.corpora.importers.post import Excluded, Post, storable, to_post

_SHOWN_COLUMNS: Final = 50
_SHOWN_NAME_CHARACTERS: Final = 60


def read(path: Path) -> Iterator[Post | Excluded]:
    """The records of the file."""
    return read_table(text_chunks(file_chunks(path)))


def read_table(texts: Iterator[str], *, within: str = "") -> Iterator[Post | Excluded]:
    """The records of a table that comes in pieces. within: goes before a position ("tweets.csv ")."""
    rows = _rows(lines(texts, within=within), within=within)
    position, header = next(rows, ("", []))
    if not header:
        return
    found = columns.find(header)
    if found is None:
        raise _without_text(header, position)
    for position, row in rows:
        if any(field.strip() for field in row[len(header) :]):
            raise MalformedFile(
                f"The record at {position} has {len(row)} fields where the header has {len(header)}. "
                "Put quotation marks around fields that hold the delimiter.",
                position=position,
            )
        yield _to_post(row, found, position)


def _to_post(row: list[str], found: Columns, position: str) -> Post | Excluded:
    return to_post(
        _field(row, found.text),
        position=position,
        external_id=_field(row, found.external_id),
        created_at=_field(row, found.created_at),
        reposted=any(columns.says_yes(_field(row, place) or "") for place in found.reposts),
    )


def _field(row: list[str], place: int | None) -> str | None:
    return row[place] if place is not None and place < len(row) else None


def _without_text(header: list[str], position: str) -> MalformedFile:
    shown: list[str] = [storable(name.strip()[:_SHOWN_NAME_CHARACTERS]) for name in header[:_SHOWN_COLUMNS]]
    return MalformedFile(
        f"No column for the text in the header at {position}; it has: {', '.join(shown)}. "
        f"The first line must name the columns; call the one that holds the posts “text” "
        f"({', '.join(columns.TEXT)} are understood too).",
        position=position,
        columns=[*shown],
    )


class _Feed:
    """Hands lines to the csv reader, and stops it where a record does not end: its own limit is for a field only."""

    def __init__(self, numbered_lines: Iterator[tuple[int, str]], *, within: str) -> None:
        self._lines = numbered_lines
        self._within = within
        self.start_record()

    def start_record(self) -> None:
        self.position = ""
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        self.position = self.position or f"{self._within}line {number}"
        self.characters += len(line) + 1
        if self.characters > LINE_LIMIT_CHARACTERS:
            raise too_long(self.position)
        return line + "\n"


def _rows(numbered_lines: Iterator[tuple[int, str]], *, within: str) -> Iterator[tuple[str, list[str]]]:
    """Records with the place where they begin; blank lines between them are none."""
    first = next(((number, line) for number, line in numbered_lines if line.strip()), None)
    if first is None:
        return
    feed = _Feed(chain([first], numbered_lines), within=within)
    # Strict: a quotation mark out of place is how a reader swallows the records after it without a word.
    reader = csv.reader(feed, delimiter=columns.delimiter_of(first[1]), strict=True)
    while (row := _next_row(reader, feed)) is not None:
        if row:
            yield feed.position, row
        feed.start_record()


def _next_row(reader: Iterator[list[str]], feed: _Feed) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        if feed.characters > csv.field_size_limit():
            raise too_long(feed.position, limit_characters=csv.field_size_limit()) from error
        raise MalformedFile(
            f"The record that begins at {feed.position} is not CSV: {error}. Check its quotation marks: a field that "
            "holds one is put in quotation marks and has it twice.",
            position=feed.position,
        ) from error
