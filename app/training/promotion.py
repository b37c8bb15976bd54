"""Which model version is served: promotions are rows, so history and rollback come for nothing."""

import math
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.training.models import ModelVersion, Promotion

FIRST = "first model of this persona"
BETTER = "fewer bits per byte on the validation posts of the same snapshot"


async def promoted(session: AsyncSession, *, persona_id: int) -> ModelVersion | None:
    """The version that is served; None while there is none."""
    newest = select(Promotion).where(Promotion.persona_id == persona_id).order_by(Promotion.id.desc()).limit(1)
    promotion = await session.scalar(newest)
    return None if promotion is None else await session.get_one(ModelVersion, promotion.model_version_id)


async def challenge(
    session: AsyncSession,
    *,
    challenger: ModelVersion,
    challenger_bits_per_byte: float,
    champion: ModelVersion | None,
    champion_bits_per_byte: float | None,
    now: datetime,
) -> bool:
    """Promote the challenger if there is no champion, or if it is better on the same validation posts.

    Both figures are of the challenger's snapshot: a corpus that grew harder does not protect an old model.
    """
    if champion is not None and champion_bits_per_byte is not None:
        if challenger_bits_per_byte >= champion_bits_per_byte:
            return False
        reason = BETTER
    else:
        reason = FIRST
    session.add(
        Promotion(
            persona_id=challenger.persona_id,
            model_version_id=challenger.id,
            previous_id=None if champion is None else champion.id,
            reason=reason,
            evidence={
                "split": "valid",
                "snapshot": challenger.snapshot_hash,
                "challenger_bits_per_byte": _finite(challenger_bits_per_byte),
                "champion_bits_per_byte": _finite(champion_bits_per_byte),
            },
            created_at=now,
        )
    )
    await session.flush()
    return True


def _finite(figure: float | None) -> float | None:
    """JSON has no infinity, which is what a model costs that ruled out a token that came."""
    return None if figure == math.inf else figure
