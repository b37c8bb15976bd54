"""Refusals: counted in memory where sentences are drawn, added to the database by a task beside, and told."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date
from typing import Final, TypeAlias

import structlog
from sqlalchemy import BigInteger, Date, String, column, func, select, values
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.db.engine import Transaction
from app.personas.models import Persona
from app.runtime import Runtime
from app.sampling.filters import Reason
from app.sampling.models import RefusalCount

log = structlog.get_logger()

FLUSH_SECONDS: Final = 5.0

Counts: TypeAlias = Mapping[tuple[int, date, Reason], int]
"""How often, by persona, day and reason."""


async def count_refusals(session: AsyncSession, counts: Counts) -> None:
    """Add to what was counted before, in one statement. Counts of personas that are gone go with them."""
    if not counts:
        return
    # In order: two processes that add to the same rows wait for each other instead of locking each other out.
    rows = [(persona_id, day, reason.value, count) for (persona_id, day, reason), count in sorted(counts.items())]
    added = values(
        column("persona_id", BigInteger),
        column("day", Date),
        column("reason", String),
        column("count", BigInteger),
        name="added",
    ).data(rows)
    known = (
        select(added)
        .join(Persona, Persona.id == added.c.persona_id)
        .order_by(added.c.persona_id, added.c.day, added.c.reason)
    )
    new = insert(RefusalCount).from_select(["persona_id", "day", "reason", "count"], known)
    total = RefusalCount.count + new.excluded.count
    await session.execute(
        new.on_conflict_do_update(index_elements=["persona_id", "day", "reason"], set_={"count": total})
    )


async def refusals_since(session: AsyncSession, *, persona_id: int, since: date) -> dict[str, int]:
    """How often each filter refused a sentence of the persona from that day on, most often first."""
    total = func.sum(RefusalCount.count)
    query = (
        select(RefusalCount.reason, total)
        .where(RefusalCount.persona_id == persona_id, RefusalCount.day >= since)
        .group_by(RefusalCount.reason)
        .order_by(total.desc(), RefusalCount.reason)
    )
    return {reason: int(count) for reason, count in await session.execute(query)}


class RefusalCounts:
    """What was refused and is not in the database yet. `add` may be called in any thread and costs a microsecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, date, Reason]] = Counter()

    def add(self, persona_id: int, reason: Reason, count: int = 1) -> None:
        """Count a refusal."""
        key = (persona_id, self._clock().date(), reason)
        with self._lock:
            self._counts[key] += count

    async def flush(self, transaction: Transaction) -> None:
        """Add everything to the database. Raises SQLAlchemyError, OSError; then it is all kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            async with transaction() as session:
                await count_refusals(session, counts)
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise


@asynccontextmanager
async def counted_refusals(runtime: Runtime, *, every_seconds: float = FLUSH_SECONDS) -> AsyncIterator[RefusalCounts]:
    """Counts that a task brings to the database every few seconds, and once more at the end."""
    counts, over = RefusalCounts(runtime.clock), asyncio.Event()
    task = asyncio.create_task(_flush_now_and_then(counts, runtime.transaction, over, every_seconds), name="refusals")
    try:
        yield counts
    finally:
        # Told, not cancelled: cut between a commit and its answer, it would count the same once more.
        over.set()
        await task


async def _flush_now_and_then(
    counts: RefusalCounts, transaction: Transaction, over: asyncio.Event, every_seconds: float
) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await over.wait()
        await _try_to_flush(counts, transaction)


async def _try_to_flush(counts: RefusalCounts, transaction: Transaction) -> None:
    """Statistics are no reason to end a service: what could not be written is kept, and the log says so."""
    try:
        await counts.flush(transaction)
    except (SQLAlchemyError, OSError) as error:
        log.warning("refusals.not_stored", reason=type(error).__name__)
