"""API keys: made, kept in a file of the owner's only, checked."""

import contextlib
import hashlib
import os
import secrets
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import ApiKey
from app.errors import Problem, Unauthenticated
from app.runtime import Runtime, RuntimeDep
from app.settings import Settings

ADMIN = "admin"
PREFIX_LENGTH = 10
SHORTEST_KEY = 16


class BrokenKeyFile(Problem):
    """The file of the admin key is empty or cut."""

    type = "broken-key-file"
    title = "The admin key cannot be read"


def key_hash(key: str) -> str:
    """SHA-256 suffices: a key has 256 random bits, so there is nothing to guess from its hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def admin_key_path(settings: Settings) -> Path:
    """Where the admin key lies that the service made for itself."""
    return settings.data_dir / "admin-key"


def admin_key(settings: Settings) -> str:
    """The admin key: the one that is set, else the one in its file, made at the first call (mode 0600)."""
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    path = admin_key_path(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make_key_file(path)
    key = path.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise BrokenKeyFile(f"{path} holds no key. Remove it, and the next start makes a new one.")
    return key


def _make_key_file(path: Path) -> None:
    """Whole or not at all; of two processes that start at once, one makes the key and both read it."""
    descriptor, arriving = tempfile.mkstemp(dir=path.parent, prefix=".admin-key-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"mynah_{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(arriving, path)
    finally:
        Path(arriving).unlink()


async def ensure_admin_key(session: AsyncSession, *, key: str, now: datetime) -> None:
    """Let this key in as the admin's; a former admin key is no longer valid."""
    values = {"prefix": key[:PREFIX_LENGTH], "key_hash": key_hash(key), "created_at": now, "revoked_at": None}
    statement = insert(ApiKey).values(name=ADMIN, **values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[ApiKey.name], set_=values, where=ApiKey.key_hash != statement.excluded.key_hash
        )
    )


async def require_key(
    runtime: RuntimeDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> ApiKey:
    """Dependency of every route below /api/v1. Raises Unauthenticated."""
    if credentials is None:
        raise Unauthenticated("Send your key as `Authorization: Bearer <key>`.")
    # Found by hash: how long the look-up takes says nothing about a key.
    hashed = key_hash(credentials.credentials)
    found = await runtime.remembered.get(("key", hashed), lambda: _valid_key(runtime, hashed))
    if found is None:
        raise Unauthenticated("This key is not known here, or was revoked.")
    return found


async def _valid_key(runtime: Runtime, hashed: str) -> ApiKey | None:
    # In a transaction of its own, over before the route begins: a route that waits must not hold a connection.
    async with runtime.transaction() as session:
        found: ApiKey | None = await session.scalar(
            select(ApiKey).where(ApiKey.key_hash == hashed, ApiKey.revoked_at.is_(None))
        )
    return found
