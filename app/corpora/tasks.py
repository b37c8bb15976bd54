"""Jobs of the corpora: corpora.import, corpora.discard_uploads."""

import asyncio

from procrastinate import Blueprint

from app.corpora import service
from app.jobs import DEFAULT_QUEUE, RETRY
from app.runtime import Runtime


def tasks(runtime: Runtime) -> Blueprint:
    """The jobs, bound to a worker's runtime."""
    blueprint = Blueprint()

    @blueprint.task(name="import", queue=DEFAULT_QUEUE, retry=RETRY)
    async def import_(source_id: int) -> None:
        await service.import_source(runtime, source_id=source_id)

    @blueprint.task(name="discard_uploads", queue=DEFAULT_QUEUE, retry=RETRY)
    async def discard_uploads(persona_id: int) -> None:
        await asyncio.to_thread(runtime.store.remove, f"uploads/{persona_id}")

    return blueprint
