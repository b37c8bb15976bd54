"""Runtime: what a process of the service holds while it runs, opened and closed in one place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import procrastinate
from fastapi import Depends, Request

from app.clock import Clock, system_clock
from app.db.embedded import embedded_postgres
from app.db.engine import Transaction, open_engine, transactions
from app.db.migrate import migrate
from app.jobs import open_queue
from app.remembered import Remembered
from app.settings import Settings
from app.storage import Store


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Settings, database, queue, files and clock: handed to whoever needs them, never reached for."""

    settings: Settings
    transaction: Transaction
    queue: procrastinate.App
    store: Store
    clock: Clock
    remembered: Remembered


@asynccontextmanager
async def open_runtime(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Runtime]:
    """Bring up the database (our own where none is given), migrate it, open engine and queue; close them in turn."""
    with ExitStack() as stack:
        if settings.database_url is not None:
            database_url = settings.database_url.get_secret_value()
        else:
            # Starting and stopping PostgreSQL blocks, but nothing else runs in this loop before and after it.
            database_url = stack.enter_context(embedded_postgres(settings.data_dir))
        await asyncio.to_thread(migrate, database_url)
        queue = open_queue(database_url)
        engine = open_engine(database_url)
        try:
            async with queue.open_async():
                yield Runtime(
                    settings=settings,
                    transaction=transactions(engine, queue),
                    queue=queue,
                    store=Store(settings.store_url),
                    clock=clock,
                    remembered=Remembered(settings.lookup_seconds),
                )
        finally:
            await engine.dispose()


async def runtime_of(request: Request) -> Runtime:
    """The runtime of the app that answers this request.

    `async` though it waits for nothing: FastAPI calls a plain function in another thread, which costs more than all the
    rest of a small request.
    """
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(runtime_of)]
