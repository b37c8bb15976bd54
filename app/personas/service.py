"""Make, find, change and delete personas."""

import re
from collections.abc import Mapping
from datetime import datetime

from psycopg.errors import LockNotAvailable
from pydantic import JsonValue
from sqlalchemy import delete as sql_delete
from sqlalchemy import func, literal, select, text
from sqlalchemy import update as sql_update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs import enqueue
from app.personas.errors import HandleTaken, PersonaBusy, PersonaNotFound
from app.personas.filter_policy import FilterPolicy
from app.personas.handles import HANDLE_PATTERN
from app.personas.models import Persona

PATIENCE_SECONDS = 2


async def create(
    session: AsyncSession,
    *,
    handle: str,
    name: str,
    bio: str = "",
    language: str | None = None,
    filters: Mapping[str, JsonValue] | None = None,
    now: datetime,
) -> Persona:
    """A new persona. filters: fields of its FilterPolicy. Raises HandleTaken."""
    values = {
        "handle": handle,
        "name": name,
        "bio": bio,
        "language": language,
        "filters": dict(filters or {}),
        "created_at": now,
        "updated_at": now,
    }
    inserted = insert(Persona).values(values).on_conflict_do_nothing().returning(Persona)
    persona: Persona | None = await session.scalar(inserted)
    if persona is None:
        raise HandleTaken(f"A persona @{handle} exists already; choose another handle or use that one.")
    return persona


async def find(session: AsyncSession, *, handle: str) -> Persona:
    """The persona of a handle, in whatever case. Raises PersonaNotFound."""
    # What is no handle is nobody's; NUL the database would not even look for.
    known = re.fullmatch(HANDLE_PATTERN, handle)
    persona = await session.scalar(select(Persona).where(Persona.handle == handle.lower())) if known else None
    if persona is None:
        raise PersonaNotFound(
            f"No persona is called @{ascii(handle[:30])[1:-1]}; GET /api/v1/personas lists those there are."
        )
    return persona


async def update(
    session: AsyncSession,
    *,
    handle: str,
    changes: Mapping[str, str | None],
    filters: Mapping[str, JsonValue] | None = None,
    now: datetime,
) -> Persona:
    """Set the given fields. filters: those of its FilterPolicy that change, None for the default.

    Raises PersonaNotFound.
    """
    persona = await find(session, handle=handle)
    # Merged by the database: of two that change different fields at once, none undoes the other's.
    merged = func.jsonb_strip_nulls(Persona.filters.concat(literal(dict(filters or {}), JSONB)))
    # One statement that finds the row or does not: it may have been deleted since.
    changed = sql_update(Persona).where(Persona.id == persona.id).values(**changes, filters=merged, updated_at=now)
    updated: Persona | None = await session.scalar(
        changed.returning(Persona), execution_options={"populate_existing": True}
    )
    if updated is None:
        raise _gone(handle)
    return updated


async def delete(session: AsyncSession, *, handle: str) -> None:
    """Delete a persona with everything that it owns; its files follow as jobs.

    Raises PersonaNotFound, PersonaBusy.
    """
    persona = await find(session, handle=handle)
    # An import holds its persona until it is finished, which may take minutes.
    await session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'"))
    try:
        deleted = await session.scalar(sql_delete(Persona).where(Persona.id == persona.id).returning(Persona.id))
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise PersonaBusy(f"An import of @{persona.handle} is under way; delete it when that is finished.") from error
    if deleted is None:
        raise _gone(handle)
    await enqueue(session, "corpora.discard_uploads", persona_id=persona.id)
    await enqueue(session, "training.discard_artifacts", persona_id=persona.id)


def filter_policy(persona: Persona) -> FilterPolicy:
    """What the persona lets pass."""
    return FilterPolicy.model_validate(persona.filters)


def _gone(handle: str) -> PersonaNotFound:
    return PersonaNotFound(f"@{handle.lower()} has just been deleted.")
