"""Alive and ready."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from app.runtime import Runtime
from tests.app.conftest import worker_beside

pytestmark = pytest.mark.anyio


async def test_the_process_is_alive_without_a_key(public: httpx.AsyncClient) -> None:
    answer = await public.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["X-Request-Id"]


async def test_without_a_worker_the_service_is_not_ready(public: httpx.AsyncClient) -> None:
    answer = await public.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "database": "ok", "migrations": "ok", "worker": "failed"}


async def test_with_a_worker_the_service_is_ready(runtime: Runtime, public: httpx.AsyncClient) -> None:
    async with worker_beside(runtime), asyncio.timeout(20):
        while (await public.get("/readyz")).status_code != 200:  # noqa: ASYNC110  it is looked at from outside
            await asyncio.sleep(0.05)
    assert (await public.get("/readyz")).status_code == 503


async def test_a_schema_of_another_version_is_told(runtime: Runtime, public: httpx.AsyncClient) -> None:
    async with runtime.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'of-the-future'"))
    assert (await public.get("/readyz")).json()["migrations"] == "failed"
