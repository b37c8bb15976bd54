"""What an importer yields, in the shapes that tests compare."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from app.corpora.detect import detect
from app.corpora.importers import IMPORTERS, Excluded, ExclusionReason, Format, Post

Entry = Post | Excluded


def imported(path: Path, file_format: Format | None = None) -> list[Entry]:
    """All that the importer yields, which is the one that the content asks for unless a format is given."""
    return list(IMPORTERS[file_format or detect(path)](path))


def posts(entries: Iterable[Entry]) -> list[Post]:
    return [entry for entry in entries if isinstance(entry, Post)]


def texts(entries: Iterable[Entry]) -> list[str]:
    return [post.text for post in posts(entries)]


def reasons(entries: Iterable[Entry]) -> Counter[ExclusionReason]:
    return Counter(entry.reason for entry in entries if isinstance(entry, Excluded))
