"""Plain text: a post a line."""

from collections.abc import Iterator
from pathlib import Path

from app.corpora.importers import columns
from app.corpora.importers.decoded_text import file_chunks, lines, text_chunks
from app.corpora.importers.post import Excluded, ExclusionReason, Post, to_post


def read(path: Path) -> Iterator[Post | Excluded]:
    """The lines of the file. A first line that is the name of a column ("title") is no post."""
    for number, line in lines(text_chunks(file_chunks(path))):
        position = f"line {number}"
        if number == 1 and columns.normalised(line) in columns.TEXT:
            yield Excluded(ExclusionReason.HEADER, position)
        else:
            yield to_post(line, position=position)
