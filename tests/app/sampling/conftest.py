"""A real server on loopback, for what cannot be seen without one: streams, clients that hang up, client libraries."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app.sampling.sampler import Sampler
from ml.sampling.engine import SamplingEngine
from ml.sampling.request import Request
from tests.app.conftest import RunJobs, jsonl, posts


class RememberingEngine(SamplingEngine):
    """Keeps what was submitted."""

    def __init__(self, **settings: Any) -> None:
        self.submitted: list[Request] = []
        super().__init__(**settings)

    def submit(self, request: Request, on_over: Callable[[], None]) -> None:
        self.submitted.append(request)
        super().submit(request, on_over)


@asynccontextmanager
async def engine_of(app: FastAPI, **settings: Any) -> AsyncIterator[RememberingEngine]:
    """Let the app draw with another engine meanwhile."""
    before: Sampler = app.state.sampler
    engine = RememberingEngine(**settings)
    app.state.sampler = replace(before, engine=engine)
    try:
        yield engine
    finally:
        engine.close()
        app.state.sampler = before


@pytest.fixture
async def engine(app: FastAPI) -> AsyncIterator[RememberingEngine]:
    """The engine of the app, of the kind that remembers."""
    async with engine_of(app) as engine:
        yield engine


@pytest.fixture
async def full_engine(app: FastAPI) -> AsyncIterator[RememberingEngine]:
    """An engine that takes nothing more."""
    async with engine_of(app, max_waiting=0) as engine:
        yield engine


@pytest.fixture
async def late_engine(app: FastAPI) -> AsyncIterator[RememberingEngine]:
    """An engine for which the time of each request is over when it comes."""
    async with engine_of(app, now=lambda: time.monotonic() + 1_000) as engine:
        yield engine


@pytest.fixture
def gate() -> threading.Event:
    """Closed; `held_engine` steps nothing before it is set."""
    return threading.Event()


@pytest.fixture
async def held_engine(app: FastAPI, gate: threading.Event) -> AsyncIterator[RememberingEngine]:
    """An engine that looks at its clock before each step, and finds out the time when the gate is open."""

    def now() -> float:
        gate.wait()
        return time.monotonic()

    async with engine_of(app, now=now) as engine:
        try:
            yield engine
        finally:
            gate.set()


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    """The app, served by uvicorn on loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for a condition. The time is only there to end a test that fails."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the conditions belong to another thread
            await asyncio.sleep(0.01)


SecondPersona = Callable[[str, list[str]], Awaitable[None]]


@pytest.fixture
def learn(api: httpx.AsyncClient, run_jobs: RunJobs) -> SecondPersona:
    """Make a persona of these posts, and let it learn to speak."""

    async def make(handle: str, texts: list[str]) -> None:
        answer = await api.post("/api/v1/personas", json={"handle": handle, "name": handle})
        assert answer.status_code == 201, answer.text
        answer = await api.post(f"/api/v1/personas/{handle}/sources", files={"file": ("posts.jsonl", jsonl(texts))})
        assert answer.status_code == 202, answer.text
        await run_jobs("default")
        await run_jobs("training")

    return make


OTHER_POSTS = [text.replace("the sea", "my tractor").replace("The cat", "Grandpa").upper() for text in posts(300)]
