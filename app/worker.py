"""The worker: runs the jobs of every stage, beside the API or in a process of its own."""

import asyncio
from collections.abc import Iterable

import structlog

from app import jobs
from app.corpora import tasks as corpora
from app.posting import tasks as posting
from app.runtime import Runtime
from app.sampling.sampler import Sampler
from app.training import tasks as training

log = structlog.get_logger()

RESTART_SECONDS = 5.0
# Trainings and imports compute: more of them at once would only take turns.
CONCURRENCY = {jobs.DEFAULT_QUEUE: 2, jobs.POSTING_QUEUE: 4, jobs.IMPORT_QUEUE: 1, jobs.TRAINING_QUEUE: 1}


def register_tasks(runtime: Runtime, sampler: Sampler) -> None:
    """Tell the queue what each job name does. Once a runtime."""
    corpora.register(runtime)
    training.register(runtime)
    posting.register(runtime, sampler)
    jobs.register(runtime.queue)


async def work(runtime: Runtime, queues: Iterable[str] = tuple(CONCURRENCY)) -> None:
    """Run the jobs of some queues until cancelled."""
    log.info("worker.started")
    try:
        async with asyncio.TaskGroup() as group:
            for queue in queues:
                group.create_task(_work_on(runtime, queue), name=queue)
    finally:
        log.info("worker.stopped")


async def _work_on(runtime: Runtime, queue: str) -> None:
    """Run the jobs of one queue; after an outage of the database, begin again."""
    while True:
        try:
            await jobs.rescue_stalled_jobs(runtime.queue)
            await jobs.run_worker(runtime.queue, queues=[queue], concurrency=CONCURRENCY[queue])
        except Exception:
            # Whatever ended it, a service that no longer posts or trains is worse than one that tries again.
            log.exception("worker.interrupted", queue=queue)
        await asyncio.sleep(RESTART_SECONDS)


async def drain(runtime: Runtime, queues: Iterable[str] = tuple(CONCURRENCY)) -> None:
    """Run jobs, and those that they defer, until none is left."""
    await jobs.run_worker(runtime.queue, queues=list(queues), concurrency=1, wait=False)
