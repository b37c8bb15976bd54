"""What was refused is counted: none lost, none twice, by persona, day and reason."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from app.personas.models import Persona
from app.runtime import Runtime
from app.sampling.filters import Reason
from app.sampling.refusals import RefusalCounts, count_refusals, counted_refusals, refusals_since
from tests.app.conftest import SettableClock

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/refusals"
TODAY = date(2026, 3, 2)


@pytest.fixture
async def persona_id(runtime: Runtime, persona: str) -> int:
    async with runtime.transaction() as session:
        found = await session.scalar(select(Persona.id).where(Persona.handle == persona))
    assert found is not None
    return found


async def told(api: httpx.AsyncClient, **query: int) -> dict[str, Any]:
    answer = await api.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def stored(runtime: Runtime, persona_id: int) -> dict[str, int]:
    async with runtime.transaction() as session:
        return await refusals_since(session, persona_id=persona_id, since=date.min)


async def test_counts_add_up_by_reason(runtime: Runtime, persona_id: int, api: httpx.AsyncClient) -> None:
    for _ in range(2):
        async with runtime.transaction() as session:
            await count_refusals(
                session, {(persona_id, TODAY, Reason.COPIED): 2, (persona_id, TODAY, Reason.MENTION): 5}
            )
    body = await told(api)
    assert body == {"since": "2026-02-01", "total": 14, "reasons": {"mention": 10, "copied": 4}}
    assert list(body["reasons"]) == ["mention", "copied"]


async def test_days_are_counted_apart(
    runtime: Runtime, persona_id: int, api: httpx.AsyncClient, clock: SettableClock
) -> None:
    counts = RefusalCounts(clock)
    counts.add(persona_id, Reason.BLOCKED)
    clock.move(days=2)
    counts.add(persona_id, Reason.BLOCKED, 3)
    await counts.flush(runtime.transaction)
    assert (await told(api, days=2))["total"] == 3
    assert (await told(api, days=3))["total"] == 4


async def test_nothing_was_refused_yet(api: httpx.AsyncClient, persona: str) -> None:
    assert await told(api) == {"since": "2026-02-01", "total": 0, "reasons": {}}


@pytest.mark.parametrize("days", [0, -1, 100_000])
async def test_days_that_make_no_sense_are_refused(days: int, api: httpx.AsyncClient, persona: str) -> None:
    answer = await api.get(URL, params={"days": days})
    assert answer.status_code == 422
    assert "days" in answer.json()["detail"]


async def test_refusals_of_nobody_are_not_found(api: httpx.AsyncClient) -> None:
    assert (await api.get(URL)).status_code == 404


async def test_a_deleted_persona_takes_its_counts_along_and_keeps_no_others_back(
    runtime: Runtime, persona_id: int, api: httpx.AsyncClient
) -> None:
    await api.post("/api/v1/personas", json={"handle": "other", "name": "Other"})
    async with runtime.transaction() as session:
        other = await session.scalar(select(Persona.id).where(Persona.handle == "other"))
        assert other is not None
        await count_refusals(session, {(persona_id, TODAY, Reason.COPIED): 1})
    await api.delete("/api/v1/personas/tess")
    async with runtime.transaction() as session:
        await count_refusals(session, {(persona_id, TODAY, Reason.COPIED): 1, (other, TODAY, Reason.COPIED): 1})
    assert await stored(runtime, persona_id) == {}
    assert await stored(runtime, other) == {"copied": 1}


async def test_threads_count_together_and_none_is_lost(runtime: Runtime, persona_id: int) -> None:
    counts = RefusalCounts(runtime.clock)

    def refuse_often() -> None:
        for _ in range(2000):
            counts.add(persona_id, Reason.REPEATED)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(refuse_often)
        await counts.flush(runtime.transaction)
    await counts.flush(runtime.transaction)
    assert await stored(runtime, persona_id) == {"repeated": 8000}


async def test_processes_that_flush_at_once_add_up(runtime: Runtime, persona_id: int) -> None:
    processes = [RefusalCounts(runtime.clock) for _ in range(8)]
    for number, counts in enumerate(processes):
        for reason in list(Reason)[:: -1 if number % 2 else 1]:
            counts.add(persona_id, reason)
    await asyncio.gather(*(counts.flush(runtime.transaction) for counts in processes))
    assert await stored(runtime, persona_id) == dict.fromkeys(sorted(Reason), 8)


async def test_what_cannot_be_stored_now_is_kept_for_later(runtime: Runtime, persona_id: int) -> None:
    counts = RefusalCounts(runtime.clock)
    counts.add(persona_id, Reason.COPIED)
    async with runtime.transaction() as session:
        await session.execute(text("ALTER TABLE refusals RENAME TO hidden"))
    async with counted_refusals(runtime, every_seconds=3600) as others:
        others.add(persona_id, Reason.COPIED)  # its last flush fails as well, and ends nothing
    with pytest.raises(Exception, match="refusals"):
        await counts.flush(runtime.transaction)
    async with runtime.transaction() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO refusals"))
    await counts.flush(runtime.transaction)
    assert await stored(runtime, persona_id) == {"copied": 1}


async def test_a_task_stores_them_now_and_then(runtime: Runtime, persona_id: int) -> None:
    async with counted_refusals(runtime, every_seconds=0) as counts, asyncio.timeout(30):
        counts.add(persona_id, Reason.COPIED)
        while await stored(runtime, persona_id) != {"copied": 1}:
            pass


async def test_the_end_of_the_service_stores_the_rest(runtime: Runtime, persona_id: int) -> None:
    async with counted_refusals(runtime, every_seconds=3600) as counts:
        counts.add(persona_id, Reason.UNBALANCED)
        assert await stored(runtime, persona_id) == {}
    assert await stored(runtime, persona_id) == {"unbalanced": 1}
