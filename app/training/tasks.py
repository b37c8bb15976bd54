"""Jobs of training: training.consider, training.run, training.discard_artifacts."""

import asyncio

from app.jobs import DEFAULT_QUEUE, RETRY, TRAINING_QUEUE
from app.runtime import Runtime
from app.training import run, service


def register(runtime: Runtime) -> None:
    """Tell the queue its jobs, bound to a worker's runtime."""
    queue = runtime.queue

    @queue.task(name="training.consider", queue=DEFAULT_QUEUE, retry=RETRY)
    async def consider(persona_id: int) -> None:
        async with runtime.transaction() as session:
            await service.consider(
                session,
                persona_id=persona_id,
                minutes=runtime.settings.training_minutes,
                now=runtime.clock(),
            )

    @queue.task(name="training.run", queue=TRAINING_QUEUE, retry=RETRY)
    async def run_(training_id: int) -> None:
        await run.run(runtime, training_id=training_id)

    @queue.task(name="training.discard_artifacts", queue=DEFAULT_QUEUE, retry=RETRY)
    async def discard_artifacts(persona_id: int) -> None:
        await asyncio.to_thread(runtime.store.remove, f"models/{persona_id}")
