"""Lines of a UTF-8 file in bounded memory."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from app.corpora.errors import BrokenEncoding, LineTooLong

LONGEST_LINE_BYTES = 1 << 20


def open_text(path: Path) -> IO[bytes]:
    """The file as UTF-8 bytes behind any byte order mark."""
    file = path.open("rb")
    mark = file.read(3)
    if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        file.close()
        raise BrokenEncoding("The file is UTF-16; save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`) and upload it again.")
    if mark != codecs.BOM_UTF8:
        file.seek(0)
    return file


def lines(stream: IO[bytes], *, where: str = "") -> Iterator[tuple[int, str]]:
    """(line number, line with its end) of a stream of UTF-8. Raises LineTooLong, BrokenEncoding.

    `where` stands in front of what an error says. No more than one line is held at a time.
    """
    number = 0
    while True:
        raw = stream.readline(LONGEST_LINE_BYTES + 1)
        if not raw:
            return
        number += 1
        if len(raw) > LONGEST_LINE_BYTES:
            raise LineTooLong(
                f"{where}Line {number} is longer than {LONGEST_LINE_BYTES:,} bytes. Is it the right file, and is its "
                "format the one that was named?"
            )
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BrokenEncoding(
                f"{where}Line {number} holds bytes that are not UTF-8 (byte {error.start + 1} of the line). "
                "Convert the file to UTF-8 and upload it again."
            ) from error
