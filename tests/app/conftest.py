"""Fixtures of the service: a real PostgreSQL, a database a test, the real app, the real worker, a clock that is set."""

import asyncio
import contextlib
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app import worker
from app.db.embedded import embedded_postgres
from app.db.migrate import migrate
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings

ADMIN_KEY = "the-admin-key-of-the-tests"
TEMPLATE = "mynah_template"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of this test process's own, with a migrated template database."""
    # Not below pytest's own folder: run by root, PostgreSQL is another user, and every pytest that starts meanwhile
    # closes that folder to others.
    with tempfile.TemporaryDirectory(prefix="mynah-test-") as folder, embedded_postgres(Path(folder)) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(_with_database(url, TEMPLATE))
        yield url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh database, cloned from the template."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield _with_database(postgres_url, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _with_database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")


@dataclass
class SettableClock:
    """Stands still until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 8, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        data_dir=tmp_path / "data",
        admin_key=SecretStr(ADMIN_KEY),
        max_upload_mb=4,
        training_minutes=0.05,
        lookup_seconds=0,
    )


@pytest.fixture
async def app(settings: Settings, clock: SettableClock) -> AsyncIterator[FastAPI]:
    """The real app, started; jobs run when a test asks for it (`run_jobs`)."""
    application = create_app(settings, with_worker=False, clock=clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(application.router.lifespan_context(application))
        yield application


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def public(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://mynah.test") as client:
        yield client


@pytest.fixture
async def api(public: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client with the admin's key."""
    public.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
    return public


RunJobs = Callable[..., Awaitable[None]]


@pytest.fixture
def run_jobs(runtime: Runtime) -> RunJobs:
    """Let the real worker run until no job of these queues is left."""

    async def run(*queues: str) -> None:
        # Tests name two: what computes for long, and all the rest.
        rest = [queue for queue in worker.CONCURRENCY if queue != "training"]
        await worker.drain(runtime, rest if queues == ("default",) else queues or tuple(worker.CONCURRENCY))

    return run


@asynccontextmanager
async def worker_beside(runtime: Runtime, *queues: str) -> AsyncIterator[None]:
    """The real worker, running meanwhile."""
    task = asyncio.create_task(worker.work(runtime, queues or tuple(worker.CONCURRENCY)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def posts(count: int) -> list[str]:
    """Sentences of a small grammar: enough likeness to learn, no two the same."""
    who = ["The cat", "A bird", "My neighbour", "The old captain", "Nobody", "Her sister", "The mayor"]
    does = ["sings about", "paints", "forgets", "remembers", "sells", "borrows", "admires", "counts"]
    what = ["the sea", "green apples", "a broken clock", "seven letters", "the harbour", "tomorrow"]
    ends = ["every day.", "at night!", "without a word.", "in the rain.", "again and again.", "for free."]
    made = []
    for number in range(count):
        parts = [who[number % 7], does[number // 7 % 8], what[number // 56 % 6], ends[number // 336 % 6]]
        made.append(" ".join(parts))
    return made


def jsonl(texts: list[str]) -> bytes:
    """As a JSON Lines file."""
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


Upload = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def persona(api: httpx.AsyncClient) -> str:
    """A persona @tess; its handle."""
    answer = await api.post("/api/v1/personas", json={"handle": "tess", "name": "Tess"})
    assert answer.status_code == 201, answer.text
    return "tess"


@pytest.fixture
def upload(api: httpx.AsyncClient, persona: str) -> Upload:
    """Upload a file to @tess; the answer's body."""

    async def send(content: bytes, filename: str = "posts.jsonl", **form: str) -> dict[str, Any]:
        answer = await api.post(f"/api/v1/personas/{persona}/sources", files={"file": (filename, content)}, data=form)
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    return send


@pytest.fixture
async def speaking(api: httpx.AsyncClient, upload: Upload, run_jobs: RunJobs, persona: str) -> str:
    """@tess with a corpus and an n-gram model, who may say what its corpus says; its handle."""
    # The grammar of `posts` is small: nearly all that can be said in it is there.
    filters = {"allow_repeats": True, "copied_words_limit": 1000, "copied_share_limit": 1.0}
    answer = await api.patch(f"/api/v1/personas/{persona}", json={"filters": filters})
    assert answer.status_code == 200, answer.text
    await upload(jsonl(posts(300)))
    await run_jobs("default")
    await run_jobs("training")
    return persona
