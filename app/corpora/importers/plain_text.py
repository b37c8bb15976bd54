"""Plain text: a post a line."""

from collections.abc import Iterator
from pathlib import Path

from app.corpora.importers.lines import lines, open_text
from app.corpora.importers.post import Excluded, Post, post_of


def read(path: Path) -> Iterator[Post | Excluded]:
    """The posts of a text file, in order."""
    with open_text(path) as file:
        for _, line in lines(file):
            yield post_of(line)
