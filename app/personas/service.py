"""Make, find, change and delete personas."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs import enqueue
from app.personas.errors import HandleTaken, PersonaNotFound
from app.personas.models import Persona


async def create(
    session: AsyncSession, *, handle: str, name: str, bio: str = "", language: str | None = None, now: datetime
) -> Persona:
    """A new persona. Raises HandleTaken."""
    values = {"handle": handle, "name": name, "bio": bio, "language": language, "created_at": now, "updated_at": now}
    inserted = insert(Persona).values(values).on_conflict_do_nothing().returning(Persona)
    persona: Persona | None = await session.scalar(inserted)
    if persona is None:
        raise HandleTaken(f"A persona @{handle} exists already; choose another handle or use that one.")
    return persona


async def find(session: AsyncSession, *, handle: str) -> Persona:
    """The persona of a handle, in whatever case. Raises PersonaNotFound."""
    persona = await session.scalar(select(Persona).where(Persona.handle == handle.lower()))
    if persona is None:
        raise PersonaNotFound(f"No persona is called @{handle[:30]!s}; GET /api/v1/personas lists those there are.")
    return persona


async def update(session: AsyncSession, *, handle: str, changes: Mapping[str, str | None], now: datetime) -> Persona:
    """Set the given fields. Raises PersonaNotFound."""
    persona = await find(session, handle=handle)
    for field, value in changes.items():
        setattr(persona, field, value)
    persona.updated_at = now
    await session.flush()
    return persona


async def delete(session: AsyncSession, *, handle: str) -> None:
    """Delete a persona with everything that it owns; its files follow as jobs. Raises PersonaNotFound."""
    persona = await find(session, handle=handle)
    await session.delete(persona)
    await session.flush()
    await enqueue(session, "corpora.discard_uploads", persona_id=persona.id)
    await enqueue(session, "training.discard_artifacts", persona_id=persona.id)
