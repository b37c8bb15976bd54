"""Jobs: deferred by name in the transaction that creates their row, run by procrastinate on the same PostgreSQL."""

import asyncio
from collections.abc import Sequence

import procrastinate
import psycopg
import sqlalchemy.exc
import structlog
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import conninfo
from app.errors import Problem

log = structlog.get_logger()

# What takes minutes has a queue of its own, so that nothing waits behind it; what must be on time has one, too.
TRAINING_QUEUE = "training"
IMPORT_QUEUE = "imports"
POSTING_QUEUE = "posting"
DEFAULT_QUEUE = "default"
QUEUES = {"training.run": TRAINING_QUEUE, "corpora.import": IMPORT_QUEUE, "posting.deliver": POSTING_QUEUE}

HEARTBEAT_SECONDS = 5.0
STALLED_AFTER_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 60


class RetryAfterShutdownOrOutage(BaseRetryStrategy):
    """Run a job again that its worker had to let go, or that met a database that was away; nothing else.

    What a job itself cannot do, it records on its row and ends.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, procrastinate.exceptions.JobAborted | asyncio.CancelledError):
            return RetryDecision(retry_in={"seconds": 0})
        if is_outage(exception):
            # For as long as it takes: the row still waits for this job, and nothing else would end it.
            return RetryDecision(retry_in={"seconds": min(2**job.attempts, LONGEST_WAIT_SECONDS)})
        return None


RETRY = RetryAfterShutdownOrOutage()


def is_outage(exception: BaseException) -> bool:
    """Whether the same again later may succeed: the database was away, or nobody had time."""
    if isinstance(exception, Problem):
        return exception.passes
    return isinstance(
        exception, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError | psycopg.OperationalError
    )


def open_queue(database_url: str) -> procrastinate.App:
    """The queue of this database; tasks are added by the worker only."""
    connector = procrastinate.PsycopgConnector(conninfo=conninfo(database_url), min_size=1, max_size=8)
    return procrastinate.App(connector=connector)


async def enqueue(session: AsyncSession, name: str, *, lock: str | None = None, **arguments: int | str) -> None:
    """Defer the job `<stage>.<verb>` in the session's own transaction: both are committed, or neither.

    Of the jobs that share a `lock`, one runs at a time, however many workers there are.
    """
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    queue: procrastinate.App = session.info["queue"]
    deferrer = queue.configure_task(
        name, queue=QUEUES.get(name, DEFAULT_QUEUE), lock=lock, connection=raw.driver_connection
    )
    await deferrer.defer_async(**arguments)


def register(queue: procrastinate.App) -> None:
    """Tell the queue the job that gives jobs of dead workers to living ones, every minute."""

    @queue.periodic(cron="* * * * *")
    @queue.task(name="jobs.rescue", queue=DEFAULT_QUEUE, retry=RETRY)
    async def rescue(timestamp: int) -> None:
        await rescue_stalled_jobs(queue)


async def rescue_stalled_jobs(queue: procrastinate.App) -> None:
    """Put the jobs of workers without a heartbeat back; also called when a worker starts."""
    stalled = await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS)
    for job in stalled:
        await queue.job_manager.retry_job(job)
        log.warning("job.rescued", job_id=job.id, task=job.task_name)


async def run_worker(queue: procrastinate.App, *, queues: Sequence[str], concurrency: int, wait: bool = True) -> None:
    """Run the jobs of some queues until cancelled, or with `wait=False` until none is left."""
    await queue.run_worker_async(
        queues=queues,
        concurrency=concurrency,
        wait=wait,
        install_signal_handlers=False,
        delete_jobs="successful",
        update_heartbeat_interval=HEARTBEAT_SECONDS,
        stalled_worker_timeout=STALLED_AFTER_SECONDS,
        # Waiting for a training would take minutes: it is cut at once, checkpoints, and its job is retried.
        shutdown_graceful_timeout=0.5,
    )


async def seconds_since_heartbeat(session: AsyncSession) -> float | None:
    """How long ago the liveliest worker was heard of; None when there is no worker at all."""
    age = await session.scalar(
        text("SELECT extract(epoch FROM now() - max(last_heartbeat)) FROM procrastinate_workers")
    )
    return None if age is None else float(age)
