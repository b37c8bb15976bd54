"""create_app(settings): the web service, with nothing done at import."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi_swagger import patch_fastapi

from app import health, observability, problem_documents, worker
from app.auth.api_keys import admin_key, ensure_admin_key, require_key
from app.body_limit import BodyLimit
from app.clock import Clock, system_clock
from app.corpora import endpoints as corpora
from app.personas import endpoints as personas
from app.posting import endpoints as posting
from app.runtime import Runtime, open_runtime
from app.sampling import endpoints as sampling
from app.sampling import openai_endpoints as openai
from app.sampling import reading_endpoints as reading
from app.sampling.blocklists import Blocklists
from app.sampling.sampler import open_sampler
from app.settings import Settings
from app.timeline import endpoints as timeline
from app.training import endpoints as training

DESCRIPTION = """
Bots that speak in somebody's voice. Create a persona, upload its posts, and ask for sentences; models are trained,
measured and promoted by themselves. Every error is a problem document (RFC 9457).
"""


def create_app(settings: Settings, *, with_worker: bool = True, clock: Clock = system_clock) -> FastAPI:
    """The service; with `with_worker` it also runs the jobs that it queues. Raises BrokenBlocklist."""
    blocklists = Blocklists.open(settings.blocklist)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings, clock) as runtime, open_sampler(runtime, blocklists) as sampler:
            app.state.runtime, app.state.sampler = runtime, sampler
            async with runtime.transaction() as session:
                await ensure_admin_key(session, key=admin_key(settings), now=clock())
            worker.register_tasks(runtime, sampler)
            async with _worker_beside(runtime, wanted=with_worker):
                yield

    app = FastAPI(
        title="Mynah",
        description=DESCRIPTION,
        version=version("mynah"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        openapi_url="/api/openapi.json",
    )
    app.add_middleware(observability.RequestId)
    app.add_middleware(BodyLimit, max_upload_bytes=int(settings.max_upload_mb * 1_000_000))
    # FastAPI's own page would load its scripts from another host; these come from a package.
    patch_fastapi(
        app,
        docs_url="/api/docs",
        swagger_js_url="/api/docs/swagger-ui-bundle.js",
        swagger_css_url="/api/docs/swagger-ui.css",
        swagger_favicon_url="/api/docs/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True},
    )
    problem_documents.install(app)
    health.install(app)
    app.include_router(timeline.router)
    app.include_router(_api())
    app.include_router(openai.router)
    return app


def _api() -> APIRouter:
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(require_key, scope="function")])
    for stage in (personas, corpora, training, sampling, reading, posting):
        api.include_router(stage.router)
    return api


@asynccontextmanager
async def _worker_beside(runtime: Runtime, *, wanted: bool) -> AsyncIterator[None]:
    """The worker in this process's own loop: what it computes runs in threads and child processes."""
    if not wanted:
        yield
        return
    task = asyncio.create_task(worker.work(runtime), name="worker")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
