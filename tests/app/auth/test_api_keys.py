"""Who gets in."""

import asyncio
import stat
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.auth.api_keys import BrokenKeyFile, admin_key, admin_key_path, ensure_admin_key
from app.auth.models import ApiKey
from app.runtime import Runtime
from app.settings import Settings
from tests.app.conftest import ADMIN_KEY, SettableClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic x", "Bearer ", f"bearer {ADMIN_KEY}x"])
async def test_without_a_valid_key_the_api_answers_nothing(public: httpx.AsyncClient, header: str | None) -> None:
    answer = await public.get("/api/v1/personas", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:mynah:problem:unauthenticated"


async def test_every_route_of_the_api_wants_a_key(app: FastAPI, public: httpx.AsyncClient) -> None:
    paths = [(path, method) for path, methods in app.openapi()["paths"].items() for method in methods]
    guarded = [(path, method) for path, method in paths if path.startswith("/api/v1")]
    assert len(guarded) > 15
    for path, method in guarded:
        url = path.format(handle="tess", source_id=1, training_id=1, schedule_id=1)
        answer = await public.request(method.upper(), url)
        # A body that is missing is told before the key is: neither lets anybody in.
        assert answer.status_code in {401, 422}, (path, method)


async def test_the_database_holds_no_key_in_clear(runtime: Runtime, api: httpx.AsyncClient) -> None:
    async with runtime.transaction() as session:
        (row,) = (await session.scalars(select(ApiKey))).all()
    stored = " ".join(str(value) for value in vars(row).values())
    assert ADMIN_KEY not in stored
    assert row.prefix == ADMIN_KEY[:10]


async def test_a_new_admin_key_replaces_the_old_one(
    runtime: Runtime, api: httpx.AsyncClient, clock: SettableClock
) -> None:
    async with runtime.transaction() as session:
        await ensure_admin_key(session, key="another-admin-key-altogether", now=clock())
    assert (await api.get("/api/v1/personas")).status_code == 401
    api.headers["Authorization"] = "Bearer another-admin-key-altogether"
    assert (await api.get("/api/v1/personas")).status_code == 200


def test_a_key_that_nobody_set_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key = admin_key(settings)
    assert len(key) > 40
    assert admin_key(settings) == key
    assert stat.S_IMODE(admin_key_path(settings).stat().st_mode) == 0o600


async def test_without_a_key_a_large_body_is_not_even_read(public: httpx.AsyncClient) -> None:
    body = b'{"handle": [' + b"[]," * 100_000 + b"[]]}"
    answer = await public.post("/api/v1/personas", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_many_requests_at_once_wait_for_each_other_and_not_for_ever(
    api: httpx.AsyncClient, speaking: str
) -> None:
    answers = await asyncio.gather(*(api.post(f"/api/v1/personas/{speaking}/sentences") for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}


def test_an_empty_key_file_is_told_and_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "admin-key").touch()
    with pytest.raises(BrokenKeyFile, match="Remove it"):
        admin_key(Settings(data_dir=tmp_path))
