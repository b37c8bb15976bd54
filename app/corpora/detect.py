"""Which format a file is in, told from its content and not from its name."""

import codecs
import csv
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from app.corpora.errors import EmptyCorpus, UnknownFormat
from app.corpora.importers import Format, columns, twitter_archive, zip_members
from app.corpora.importers.decoded_text import CHUNK_BYTES, encoding_of

_SAMPLE_BYTES: Final = CHUNK_BYTES
_SAMPLE_RECORDS: Final = 20

# What people upload by mistake, named so that the answer can say what to do. Only for the message.
_KNOWN_BYTES: Final = (
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|\x00\x00\x00.ftyp", re.DOTALL), "an image or a video"),
    (re.compile(rb"SQLite format 3\x00"), "an SQLite database"),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd"), "a packed file"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an old office document"),
    (re.compile(rb".{1,3}\xa2eroots", re.DOTALL), "a Bluesky repository"),
)
_KNOWN_TEXTS: Final = (
    (re.compile(r"window\.YTD\."), "a part of a Twitter archive made since 2018"),
    (re.compile(r"\[\s*\{"), "a JSON array and not JSON Lines"),
    (re.compile(r"\{\\rtf"), "a rich text document"),
    (re.compile(r"(?i:<!doctype|<html|<\?xml)"), "a page of HTML or XML"),
)
_FORMATS: Final = "plain text (a post a line), JSON Lines, CSV with a header, or a Twitter archive of 2012-2018"

# Text has tabs, line breaks, and now and then a stray one of the others; a picture or a database is full of them.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_CONTROL_SHARE_LIMIT: Final = 0.02

_JSON_OBJECT: Final = re.compile(r'\{\s*(?:"|\}\s*$)', re.MULTILINE)


def detect(path: Path) -> Format:
    """The format. Text that is not in UTF-8 is still told by its shape: its importer says where the broken bytes are.

    Raises UnknownFormat, EmptyCorpus; CorruptArchive and ArchiveTooLarge for a zip.
    """
    with path.open("rb") as stream:
        head = stream.read(_SAMPLE_BYTES)
    if head.startswith(zip_members.SIGNATURES):
        twitter_archive.check_archive(path)
        return Format.TWITTER_ARCHIVE
    _refuse(_KNOWN_BYTES, head)
    text = _decode(head)
    start = text.lstrip()
    if not start:
        raise EmptyCorpus("The file is empty. Check that it was saved and sent completely.")
    _refuse(_KNOWN_TEXTS, start)
    return _detect_text(start)
