"""Which format a file is in, told from its content and not from its name."""

import codecs
import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import AnyStr, Final

from app.corpora.errors import EmptyCorpus, UnknownFormat
from app.corpora.importers import Format, columns, twitter_archive, zip_members
from app.corpora.importers.decoded_text import CHUNK_BYTES, encoding_of

_SAMPLE_BYTES: Final = CHUNK_BYTES

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

_KNOWN_COLUMNS: Final = frozenset((*columns.TEXT, *columns.ID, *columns.DATE, *columns.REPOST))

# Text has tabs, line breaks, and now and then a stray one of the others; a picture or a database is full of them.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_CONTROL_SHARE_LIMIT: Final = 0.02

_QUOTED: Final = re.compile(r'".+"\n')
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


def _decode(head: bytes) -> str:
    """The sample as text, with marks where it is broken. Raises UnknownFormat for what was never meant as text."""
    encoding, mark_bytes = encoding_of(head)
    # Without "final": the sample may end inside a character.
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head[mark_bytes:])
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(_CONTROL.findall(text)) > _CONTROL_SHARE_LIMIT * len(text) or encoding.startswith("utf-32"):
        raise _unknown("not text")
    return text


def _refuse(known: Iterable[tuple[re.Pattern[AnyStr], str]], start: AnyStr) -> None:
    for pattern, kind in known:
        if pattern.match(start):
            raise _unknown(kind)


def _unknown(kind: str) -> UnknownFormat:
    return UnknownFormat(f"The file is {kind}. What can be read is {_FORMATS}, in UTF-8; convert it to one of these.")


def _detect_text(text: str) -> Format:
    if text.startswith(twitter_archive.SCRIPT_START):
        return Format.TWITTER_ARCHIVE
    if _JSON_OBJECT.match(text):
        return Format.JSONL
    return Format.CSV if _is_table(text) else Format.PLAIN_TEXT


def _is_table(text: str) -> bool:
    """Whether the first line is a header: it names two columns that we know, or one and the lines below fit it."""
    header_line, _, rest = text.partition("\n")
    delimiter = columns.delimiter_of(header_line)
    header = columns.split_line(header_line, delimiter)
    known = {columns.normalised(name) for name in header} & _KNOWN_COLUMNS
    if len(header) > 1:
        return len(known) > 1 or (bool(known) and _has_width(rest, len(header), delimiter))
    return bool(known) and _is_quoted_column(text)


def _has_width(rest: str, width: int, delimiter: str) -> bool:
    widths = [len(record) for record in csv.reader(_sample_lines(rest), delimiter=delimiter) if record]
    return 2 * widths.count(width) >= len(widths)


def _is_quoted_column(text: str) -> bool:
    """A single column is a table when its fields are quoted as in one; else it is plain text below a title."""
    sample_lines = _sample_lines(text)
    quoted = any(_QUOTED.fullmatch(line) for line in sample_lines)
    return quoted and all(len(record) < 2 for record in csv.reader(sample_lines))


def _sample_lines(text: str) -> list[str]:
    """The lines with their ends; the last one may be cut."""
    return [line + "\n" for line in text.split("\n")]
