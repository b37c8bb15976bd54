"""Importers: a file → posts, one format a file, behind one signature and one registry.

An importer is a generator: it holds one record of the file at a time, and raises a problem of `app.corpora.errors`
where the file cannot be read on. What it has yielded until then is the caller's to take back.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from app.corpora.importers import comma_separated, jsonl, plain_text, twitter_archive
from app.corpora.importers.post import Excluded, ExclusionReason, Post

__all__ = ["IMPORTERS", "Excluded", "ExclusionReason", "Format", "Importer", "Post"]

Importer = Callable[[Path], Iterator[Post | Excluded]]


class Format(StrEnum):
    """What a file can be; the values are what the API says."""

    PLAIN_TEXT = "plain_text"
    JSONL = "jsonl"
    CSV = "csv"
    TWITTER_ARCHIVE = "twitter_archive"


IMPORTERS: Final[Mapping[Format, Importer]] = MappingProxyType(
    {
        Format.PLAIN_TEXT: plain_text.read,
        Format.JSONL: jsonl.read,
        Format.CSV: comma_separated.read,
        Format.TWITTER_ARCHIVE: twitter_archive.read,
    }
)
