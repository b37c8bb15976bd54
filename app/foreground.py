"""What commands share: the server in the foreground, and jobs that are worked off while a person watches."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app import worker
from app.runtime import Runtime
from app.sampling.sampler import open_sampler
from app.settings import Settings

POLL_SECONDS = 0.3
# Requests in flight get this long before the server closes; with the worker's stop it stays below ten seconds.
DRAIN_SECONDS = 3

Row = TypeVar("Row")


def run_server(
    settings: Settings,
    app: FastAPI,
    *,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    sockets: list[socket.socket] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; `beside` runs once the server answers and is cancelled with it.

    sockets: that listen already, instead of host and port of the settings.
    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        # What is there now stays for good: the collector need not look through all the code again and again.
        gc.collect()
        gc.freeze()
        companion = None if beside is None else asyncio.create_task(_once_started(server, beside))
        try:
            await server.serve(sockets)
        finally:
            if companion is not None:
                companion.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await companion

    # uvicorn raises the signal again after its orderly end: there is nothing left to do about it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())
    if not server.started:
        raise SystemExit(3)


async def _once_started(server: uvicorn.Server, beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn offers no event for it
        await asyncio.sleep(0.05)
    try:
        await beside()
    except Exception:
        server.should_exit = True
        raise


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run until done, or until SIGINT or SIGTERM cancels it in order."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def jobs_here(runtime: Runtime, queue: str) -> AsyncIterator[None]:
    """Work off a queue in this process meanwhile. Where a worker runs as well, whoever is first takes a job."""
    async with open_sampler(runtime) as sampler:
        worker.register_tasks(runtime, sampler)
        task = asyncio.create_task(worker.work(runtime, [queue]))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def follow(
    look: Callable[[], Awaitable[Row]], *, until: Callable[[Row], bool], show: Callable[[Row], None]
) -> Row:
    """Look again and again until a row is as wanted."""
    while True:
        row = await look()
        show(row)
        if until(row):
            return row
        await asyncio.sleep(POLL_SECONDS)


def progress_bar(columns: str, console: Console) -> Progress:
    """A bar with a spinner, the elapsed time and what `columns` names."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn(columns),
        TimeElapsedColumn(),
        console=console,
    )
