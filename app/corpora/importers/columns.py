"""Which columns of a table hold the text, the id and the date of a post: by the names that exports give them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# In order of preference: a table with `full_text` and `text` has cut the second; `status` may also be a state.
TEXT: Final = (
    "full_text",
    "tweet_text",
    "text",
    "tweet",
    "content",
    "post",
    "body",
    "message",
    "caption",
    "comment",
    "status",
    "title",
)
ID: Final = ("tweet_id", "id_str", "status_id", "post_id", "id")
DATE: Final = ("created_at", "timestamp", "posted_at", "published_at", "date", "datetime", "time")
REPOST: Final = ("retweeted_status_id", "is_retweet", "isretweet", "is_repost")

_DELIMITERS: Final = (",", "\t", ";", "|")

_NO: Final = frozenset({"", "0", "false", "f", "no", "n", "nan", "null", "none"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a row the fields of a post are."""

    text: int
    external_id: int | None
    created_at: int | None
    reposts: tuple[int, ...]


def find(header: Sequence[str]) -> Columns | None:
    """The columns, or None where none holds the text."""
    names = [normalised(name) for name in header]
    text = _first(TEXT, names)
    if text is None:
        return None
    reposts = tuple(place for place, name in enumerate(names) if name in REPOST)
    return Columns(text, _first(ID, names), _first(DATE, names), reposts)


def normalised(name: str) -> str:
    """ "Tweet Text" → "tweet_text"."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def says_yes(value: str) -> bool:
    """Whether a flag is set, or an id given."""
    return value.strip().lower() not in _NO


def delimiter_of(header_line: str) -> str:
    """The delimiter with which the header has a column for the text and most columns."""
    return max(_DELIMITERS, key=lambda delimiter: _promise(header_line, delimiter))


def split_line(line: str, delimiter: str) -> list[str]:
    """The fields of one line, none where it is not a record."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _promise(header_line: str, delimiter: str) -> tuple[bool, int]:
    header = split_line(header_line, delimiter)
    return find(header) is not None, len(header)


def _first(wanted: Sequence[str], names: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)
