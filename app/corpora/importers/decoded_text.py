r"""Bytes → text → lines, a bounded piece at a time.

UTF-8, with or without a byte order mark, and UTF-16 with one. Every line break (CRLF, CR, LF) becomes "\n".
"""

import codecs
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from app.corpora.errors import BrokenEncoding, LineTooLong

CHUNK_BYTES: Final = 2**16

# A line, or a record of several lines. Ten times the longest post with all that a platform says about it.
LINE_LIMIT_CHARACTERS: Final = 2**20

_BYTE_ORDER_MARKS: Final = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def file_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file in pieces."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding that the first bytes announce, and how many of them announce it."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def text_chunks(chunks: Iterable[bytes], *, within: str = "") -> Iterator[str]:
    """The text in pieces. The byte order mark, where there is one, lies in the first chunk.

    within: goes before a position ("tweets.csv "). Raises BrokenEncoding.
    """
    chunks = iter(chunks)
    first = next(chunks, b"")
    encoding, byte_offset = encoding_of(first)
    decoder = codecs.getincrementaldecoder(encoding)()
    line_breaks = io.IncrementalNewlineDecoder(None, translate=True)
    line = 1
    for chunk, final in _with_end(first[byte_offset:], chunks):
        pending, _ = decoder.getstate()
        try:
            text = line_breaks.decode(decoder.decode(chunk, final), final)
        except UnicodeDecodeError as error:
            before = line_breaks.decode(error.object[: error.start].decode(encoding, "replace"), True)
            raise _broken_encoding(
                error,
                encoding=encoding,
                within=within,
                line=line + before.count("\n"),
                byte_offset=byte_offset - len(pending) + error.start,
            ) from error
        byte_offset += len(chunk)
        line += text.count("\n")
        yield text


def _with_end(first: bytes, chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    yield first, False
    for chunk in chunks:
        yield chunk, False
    yield b"", True


def _broken_encoding(
    error: UnicodeDecodeError, *, encoding: str, within: str, line: int, byte_offset: int
) -> BrokenEncoding:
    return BrokenEncoding(
        f"Bytes that are not {encoding.upper()} at {within}line {line}, byte offset {byte_offset} ({error.reason}). "
        "Save the file as UTF-8 (a spreadsheet calls it “CSV UTF-8”) and upload it again.",
        line=line,
        byte_offset=byte_offset,
    )


def lines(texts: Iterable[str], *, within: str = "") -> Iterator[tuple[int, str]]:
    """Lines, numbered from 1, without their ends. Raises LineTooLong as soon as what it holds is over the limit."""
    number = 1
    rest = ""
    for text in texts:
        *complete, rest = (rest + text).split("\n")
        for line in complete:
            check_length(line, position=f"{within}line {number}")
            yield number, line
            number += 1
        check_length(rest, position=f"{within}line {number}")
    if rest:
        yield number, rest


def check_length(line: str, *, position: str) -> None:
    """Raises LineTooLong for a line that no post fills."""
    if len(line) > LINE_LIMIT_CHARACTERS:
        raise too_long(position)


def too_long(position: str, *, limit_characters: int = LINE_LIMIT_CHARACTERS) -> LineTooLong:
    """The problem, for a line or a record that begins there."""
    return LineTooLong(
        f"What begins at {position} has more than {limit_characters} characters before it ends. "
        "Check that the file is complete, that every quotation mark is closed, and that it has a post a line.",
        position=position,
        limit_characters=limit_characters,
    )
