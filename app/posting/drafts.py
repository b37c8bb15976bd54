"""What a persona has written."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.posting.models import Draft

REMEMBERED = 500


async def recent_texts(session: AsyncSession, *, persona_id: int) -> list[str]:
    """The texts that were drafted last, newest first: what is posted must not repeat them."""
    newest = select(Draft.text).where(Draft.persona_id == persona_id).order_by(Draft.id.desc()).limit(REMEMBERED)
    return list(await session.scalars(newest))
