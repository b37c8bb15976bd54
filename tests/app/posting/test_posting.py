"""Scheduled posts, with the clock in the test's hand: each due minute is one post, however many workers run."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app import worker
from app.posting import delivery, schedules
from app.posting.models import Publication, PublicationState
from app.runtime import Runtime
from tests.app.conftest import RunJobs, SettableClock

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess"


async def schedule(api: httpx.AsyncClient, cron: str = "* * * * *", **more: str) -> dict[str, Any]:
    answer = await api.post(f"{URL}/schedules", json={"cron": cron, "time_zone": "UTC", "account": "timeline", **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def tick(runtime: Runtime) -> None:
    """What the queue does every minute."""
    await runtime.queue.configure_task("posting.tick", queue="posting").defer_async(
        timestamp=int(runtime.clock().timestamp())
    )


async def posted(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get(f"{URL}/posts")).json()["items"]
    return items


async def test_a_due_minute_becomes_one_post_on_the_timeline(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs, clock: SettableClock
) -> None:
    made = await schedule(api)
    assert made["next_due_at"] == "2026-03-02T08:01:00Z"
    await tick(runtime)
    await run_jobs("default")
    assert await posted(api) == []
    clock.move(minutes=1)
    await tick(runtime)
    await run_jobs("default")
    (post,) = await posted(api)
    assert (post["state"], post["account"], post["schedule"], post["model"]) == ("sent", "timeline", made["id"], 1)
    assert post["text"].strip()
    assert post["due_at"] == post["sent_at"] == "2026-03-02T08:01:00Z"
    page = await api.get("/@tess")
    assert post["text"] in page.text


async def test_however_many_workers_tick_at_once_a_due_time_is_posted_once(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, clock: SettableClock
) -> None:
    for minute in ("1", "1-3", "*"):
        await schedule(api, cron=f"{minute} * * * *")
    clock.move(minutes=1)
    for _ in range(6):
        await tick(runtime)
    await asyncio.gather(*(worker.drain(runtime, ["posting"]) for _ in range(4)))
    assert len(await posted(api)) == 3
    assert {post["state"] for post in await posted(api)} == {"sent"}


async def test_a_minute_that_passed_while_nobody_was_there_is_skipped(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs, clock: SettableClock
) -> None:
    made = await schedule(api, cron="*/10 * * * *")
    clock.move(hours=5, minutes=6)
    await tick(runtime)
    await run_jobs("default")
    assert await posted(api) == []
    (seen,) = (await api.get(f"{URL}/schedules")).json()["items"]
    assert seen == made | {"next_due_at": "2026-03-02T13:10:00Z"}


@pytest.mark.parametrize("draft_was_recorded", [False, True])
async def test_a_delivery_that_was_interrupted_is_gone_on_with_and_posts_once(
    draft_was_recorded: bool,
    api: httpx.AsyncClient,
    speaking: str,
    app: FastAPI,
    runtime: Runtime,
    run_jobs: RunJobs,
    clock: SettableClock,
) -> None:
    await schedule(api)
    clock.move(minutes=1)
    async with runtime.transaction() as session:
        await schedules.publish_due(session, now=clock())
        publication = (await session.scalars(select(Publication))).one()
    # A worker gets so far, and dies; its job is run again.
    claim = await delivery._claim(runtime, publication.id)
    assert claim is not None
    text = await delivery._write_draft(runtime, app.state.sampler, claim) if draft_was_recorded else None
    await run_jobs("default")
    (post,) = await posted(api)
    assert post["state"] == "sent"
    assert text in {None, post["text"]}
    await delivery.deliver(runtime, app.state.sampler, publication_id=publication.id)
    assert await posted(api) == [post]


async def test_a_persona_without_a_model_posts_nothing_and_says_why(
    api: httpx.AsyncClient, persona: str, runtime: Runtime, run_jobs: RunJobs, clock: SettableClock
) -> None:
    await schedule(api)
    clock.move(minutes=1)
    await tick(runtime)
    await run_jobs("default")
    (post,) = await posted(api)
    assert (post["state"], post["text"]) == (PublicationState.FAILED, None)
    assert post["error"]["type"] == "urn:mynah:problem:no-model-yet"
    assert "no model" not in (await api.get("/@tess")).text


async def test_a_deleted_schedule_posts_no_more_and_what_it_posted_stays(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs, clock: SettableClock
) -> None:
    made = await schedule(api)
    for _ in range(2):
        clock.move(minutes=1)
        await tick(runtime)
        await run_jobs("default")
        await api.delete(f"{URL}/schedules/{made['id']}")
    (post,) = await posted(api)
    assert post["schedule"] is None
    assert (await api.delete(f"{URL}/schedules/{made['id']}")).json()["type"] == "urn:mynah:problem:schedule-not-found"


@pytest.mark.parametrize(
    ("wanted", "problem", "pointer"),
    [
        ({"cron": "never"}, "invalid-schedule", "/cron"),
        ({"time_zone": "Mars/Olympus"}, "invalid-schedule", "/time_zone"),
        ({"account": "twitter"}, "unknown-account", "/account"),
    ],
)
async def test_a_schedule_that_cannot_be_understood_is_refused_by_field(
    wanted: dict[str, str], problem: str, pointer: str, api: httpx.AsyncClient, persona: str
) -> None:
    answer = await api.post(f"{URL}/schedules", json={"cron": "0 9 * * *", **wanted})
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:mynah:problem:{problem}")
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await api.get(f"{URL}/schedules")).json()["items"] == []


async def test_deleting_a_persona_deletes_its_posts(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs, clock: SettableClock
) -> None:
    await schedule(api)
    clock.move(minutes=1)
    await tick(runtime)
    await run_jobs("default")
    assert (await api.delete(URL)).status_code == 204
    async with runtime.transaction() as session:
        assert (await session.scalars(select(Publication))).all() == []
