"""Synthetic archives in the shape of those that Twitter gave out from 2012 to 2018."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tweet(number: int, text: str, **fields: object) -> dict[str, Any]:
    """A tweet as a month's script has it; `id` has been rounded by JavaScript, `id_str` has not."""
    identifier = 1_045_433_493_952_638_000 + number
    return {
        "source": '<a href="https://example.org/">web</a>',
        "entities": {"user_mentions": [], "media": [], "hashtags": [], "urls": []},
        "geo": {},
        "id_str": str(identifier),
        "text": text,
        "id": round(identifier, -3),
        "created_at": "2018-09-27 22:02:22 +0000",
        "user": {"name": "A bot", "screen_name": "a_bot", "protected": False},
        **fields,
    }


def script(month: str, tweets: list[dict[str, Any]]) -> str:
    """A month's script, laid out as Twitter did."""
    listed = json.dumps(tweets, indent=2, separators=(",", " : ")).replace("/", "\\/")
    return f"Grailbird.data.tweets_{month} = \n {listed}"


def zipped(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """A zip file of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
