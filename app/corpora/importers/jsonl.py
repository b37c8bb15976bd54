"""JSON Lines: an object a line with `text` and, where there are, `id` and `created_at`."""

import json
from collections.abc import Iterator
from pathlib import Path

from app.corpora.errors import MalformedFile
from app.corpora.importers.lines import lines, open_text
from app.corpora.importers.post import Excluded, ExclusionReason, Post, external_id_of, post_of, time_of


def read(path: Path) -> Iterator[Post | Excluded]:
    """The posts of a JSON Lines file, in order. Raises MalformedFile at the first line that is no such object."""
    with open_text(path) as file:
        for number, line in lines(file):
            yield _entry(line, number) if line.strip() else Excluded(ExclusionReason.EMPTY)


def _entry(line: str, number: int) -> Post | Excluded:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"Line {number} is not JSON ({error}). Every line has to be one JSON object.") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise MalformedFile(f'Line {number} is no object with a "text", as in {{"text": "…"}}.')
    return post_of(
        entry["text"],
        external_id=external_id_of(entry.get("id")),
        created_at=time_of(entry.get("created_at")),
    )
