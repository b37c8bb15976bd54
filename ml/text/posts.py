"""Corpus files of the command line → posts: `.jsonl` with {"text": …} a line, or `.txt` with a post a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ml.errors import CorpusError


def read_posts(path: Path) -> list[str]:
    """The posts of a corpus file in their order. Blank lines are no posts; a byte order mark is skipped.

    Raises CorpusError, with the file and the line, for what cannot be read.
    """
    read_line = _READERS.get(path.suffix.lower())
    if read_line is None:
        raise CorpusError(f"{path} is neither of {', '.join(_READERS)}. Convert it to one of them.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}.") from error
    posts = []
    # Only "\n" ends a line: str.splitlines would also cut at U+2028 and U+0085, which stand inside posts.
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            _check_encoding(line)
            posts.append(read_line(line.decode("utf-8")))
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path}, line {number}: not UTF-8 ({error.reason}). Save the file as UTF-8.") from error
        except ValueError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
        except RecursionError as error:
            raise CorpusError(f"{path}, line {number}: not a post, but JSON nested too deep to read.") from error
    return posts


def _check_encoding(line: bytes) -> None:
    """UTF-16 and UTF-32 without a mark decode as UTF-8: as letters with zeros between. A stray zero is only junk."""
    if line.count(0) * 4 >= len(line):
        raise ValueError("full of zero bytes, as UTF-16 and UTF-32 are. Save the file as UTF-8.")


def _read_json_line(line: str) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno}).") from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise ValueError('not an object with a string "text".')  # noqa: TRY004  the caller adds file and line
    text: str = record["text"]
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError('"text" holds half of a surrogate pair, which is no character.')
    return text


_READERS: Final[dict[str, Callable[[str], str]]] = {".jsonl": _read_json_line, ".txt": str.strip}
