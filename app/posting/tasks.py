"""Jobs of posting: posting.tick every minute, posting.deliver for each publication."""

from app.jobs import POSTING_QUEUE, RETRY
from app.posting import delivery, schedules
from app.runtime import Runtime
from app.sampling.sampler import Sampler


def register(runtime: Runtime, sampler: Sampler) -> None:
    """Tell the queue its jobs, bound to a worker's runtime and its sampler."""
    queue = runtime.queue

    @queue.periodic(cron="* * * * *")
    @queue.task(name="posting.tick", queue=POSTING_QUEUE, retry=RETRY)
    async def tick(timestamp: int) -> None:
        # Not the minute that the queue names: a worker that comes late takes what fell due since then, too.
        now = runtime.clock()
        seen = schedules.BATCH
        while seen == schedules.BATCH:
            async with runtime.transaction() as session:
                seen = await schedules.publish_due(session, now=now)

    @queue.task(name="posting.deliver", queue=POSTING_QUEUE, retry=RETRY)
    async def deliver(publication_id: int) -> None:
        await delivery.deliver(runtime, sampler, publication_id=publication_id)
