"""JSON Lines: an object a line, with `text` and, where known, `id` and `created_at`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.corpora.errors import MalformedFile
from app.corpora.importers.decoded_text import file_chunks, lines, text_chunks
from app.corpora.importers.post import Excluded, Post, to_post


def read(path: Path) -> Iterator[Post | Excluded]:
    """The objects of the file. Tweets as Twitter's interface gives them (`full_text`, `id_str`) are understood too."""
    for number, line in lines(text_chunks(file_chunks(path))):
        if line.strip():
            position = f"line {number}"
            record = _parse(line, position)
            yield to_post(
                record.get("full_text", record.get("text")),
                position=position,
                external_id=record.get("id_str", record.get("id")),
                created_at=record.get("created_at"),
                reposted=bool(record.get("retweeted_status") or record.get("retweeted_status_id")),
            )


def _parse(line: str, position: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise _malformed(position, f"{error.msg}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _malformed(position, "a number too long, or nested too deep") from error
    if not isinstance(record, dict):
        raise _malformed(position, "not an object")
    return record


def _malformed(position: str, reason: str) -> MalformedFile:
    return MalformedFile(
        f"No JSON object at {position}: {reason}. "
        'Each line must be one object such as {"text": "Good morning!"}; correct the line and upload the file again.',
        position=position,
    )
