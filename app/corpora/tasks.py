"""Jobs of the corpora: corpora.import, corpora.discard_uploads."""

import asyncio

from app.corpora import service
from app.jobs import DEFAULT_QUEUE, IMPORT_QUEUE, RETRY
from app.runtime import Runtime


def register(runtime: Runtime) -> None:
    """Tell the queue its jobs, bound to a worker's runtime."""
    queue = runtime.queue

    @queue.task(name="corpora.import", queue=IMPORT_QUEUE, retry=RETRY)
    async def import_(source_id: int) -> None:
        await service.import_source(runtime, source_id=source_id)

    @queue.task(name="corpora.discard_uploads", queue=DEFAULT_QUEUE, retry=RETRY)
    async def discard_uploads(persona_id: int) -> None:
        await asyncio.to_thread(runtime.store.remove, f"uploads/{persona_id}")
