"""Which personas can speak: those with a promoted model."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.personas.models import Persona
from app.training.models import ModelVersion, Promotion


async def speakers(session: AsyncSession, *, limit: int | None = None) -> Sequence[tuple[Persona, ModelVersion]]:
    """Each persona that can speak with the version that speaks for it, by handle; the first `limit` of them."""
    newest = (
        select(Promotion)
        .ext(distinct_on(Promotion.persona_id))
        .order_by(Promotion.persona_id, Promotion.id.desc())
        .subquery("newest")
    )
    found = (
        select(Persona, ModelVersion)
        .join(newest, newest.c.persona_id == Persona.id)
        .join(ModelVersion, ModelVersion.id == newest.c.model_version_id)
        .order_by(Persona.handle)
        .limit(limit)
    )
    return [(persona, version) for persona, version in await session.execute(found)]
