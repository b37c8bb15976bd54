"""The importers: bytes → Post, one generator a format, found in one table."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

from app.corpora.importers import comma_separated, jsonl, plain_text, twitter_archive
from app.corpora.importers.post import Excluded, ExclusionReason, Post

__all__ = ["IMPORTERS", "Excluded", "ExclusionReason", "Format", "Importer", "Post"]


class Format(StrEnum):
    """The formats that can be imported; the values are what the API takes."""

    PLAIN_TEXT = "plain_text"
    JSONL = "jsonl"
    CSV = "csv"
    TWITTER_ARCHIVE = "twitter_archive"


Importer = Callable[[Path], Iterator[Post | Excluded]]

IMPORTERS: dict[Format, Importer] = {
    Format.PLAIN_TEXT: plain_text.read,
    Format.JSONL: jsonl.read,
    Format.CSV: comma_separated.read,
    Format.TWITTER_ARCHIVE: twitter_archive.read,
}
