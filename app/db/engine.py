"""Engine and sessions: `transaction()` for jobs and commands, `SessionDep` for requests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, TypeAlias

import procrastinate
from fastapi import Depends, Request
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

Transaction: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncSession]]


def sqlalchemy_url(database_url: str) -> URL:
    """The same database through psycopg 3, however the URL names its driver."""
    return make_url(database_url).set(drivername="postgresql+psycopg")


def conninfo(database_url: str) -> str:
    """The same database as psycopg itself takes it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def open_engine(database_url: str) -> AsyncEngine:
    """A pool of connections. `pool_pre_ping` replaces those that a restart of the database cut.

    Parameters stay out of errors and so of logs: they may be texts of posts.
    """
    return create_async_engine(
        sqlalchemy_url(database_url), pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True
    )


def transactions(engine: AsyncEngine, queue: procrastinate.App) -> Transaction:
    """`async with transaction() as session`: committed at the end, rolled back on an error.

    The queue travels with the session, so that a job can be deferred in the same transaction (`jobs.enqueue`).
    """
    sessions = async_sessionmaker(engine, expire_on_commit=False, info={"queue": queue})

    @asynccontextmanager
    async def transaction() -> AsyncIterator[AsyncSession]:
        async with sessions() as session, session.begin():
            yield session

    return transaction


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """The session of one request."""
    transaction: Transaction = request.app.state.runtime.transaction
    async with transaction() as session:
        yield session


# scope="function": the commit comes before the answer leaves. With FastAPI's default it comes after, and a failed
# commit has already been answered 201.
SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]
