"""Freeze the exact set of posts that a training reads: a file, and the hash that names it."""

import hashlib
import json
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.corpora.models import Tweet

POSTS_FILE = "posts.jsonl"


async def write(session: AsyncSession, *, persona_id: int, directory: Path) -> str:
    """Write `posts.jsonl`, in an order that depends on the posts alone; returns its SHA-256."""
    digest = hashlib.sha256()
    query = select(Tweet.text).where(Tweet.persona_id == persona_id).order_by(Tweet.identity)
    with (directory / POSTS_FILE).open("wb") as file:
        async for (post,) in await session.stream(query.execution_options(yield_per=5000)):
            line = json.dumps({"text": post}, ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            file.write(line)
    return digest.hexdigest()
