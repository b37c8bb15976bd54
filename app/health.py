"""/healthz: this process answers. /readyz: database, migrations and a worker are there."""

from typing import Any, Literal

from fastapi import FastAPI, Response, status
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db.migrate import is_current
from app.jobs import STALLED_AFTER_SECONDS, seconds_since_heartbeat
from app.runtime import RuntimeDep

Check = Literal["ok", "failed"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """What a request needs, each checked now."""

    status: Check
    database: Check
    migrations: Check
    worker: Check


async def healthz() -> Alive:
    """Alive."""
    return Alive()


async def readyz(runtime: RuntimeDep, response: Response) -> Ready:
    """Ready to serve."""
    database = migrations = worker = False
    try:
        async with runtime.transaction() as session:
            await session.execute(text("SELECT 1"))
            database = True
            migrations = await is_current(session)
            age = await seconds_since_heartbeat(session)
            worker = age is not None and age < STALLED_AFTER_SECONDS
    except (SQLAlchemyError, OSError):
        # The answer tells which check it was.
        response.headers["Retry-After"] = "5"
    ready = database and migrations and worker
    if not ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Ready(status=_said(ready), database=_said(database), migrations=_said(migrations), worker=_said(worker))


def _said(good: bool) -> Check:
    return "ok" if good else "failed"


def install(app: FastAPI) -> None:
    """Put the routes on the app itself: an included router costs a request some microseconds, and these come often."""
    app.add_api_route("/healthz", healthz, tags=["health"])
    missing: dict[int | str, dict[str, Any]] = {503: {"model": Ready, "description": "Something is missing."}}
    app.add_api_route("/readyz", readyz, tags=["health"], responses=missing)
