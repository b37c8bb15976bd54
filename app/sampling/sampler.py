"""Sampler: what a process draws sentences with, opened and closed with it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from app.runtime import Runtime
from app.sampling.blocklists import Blocklists
from app.sampling.refusals import RefusalCounts, counted_refusals
from app.sampling.served_models import ServedModels
from app.sampling.speakers import speakers
from ml.sampling.engine import SamplingEngine
from ml.sampling.request import Request

# Ten times what a hundred sentences take: whoever computes longer than that keeps the others from speaking.
LONGEST_SECONDS = 20.0


@dataclass(frozen=True)
class Sampler:
    """The models that are loaded, the engine that steps them, and what the filters need beside them."""

    models: ServedModels
    engine: SamplingEngine
    blocklists: Blocklists
    refusals: RefusalCounts

    async def carry_out(self, request: Request) -> None:
        """Wait until a request is over. When the caller is cancelled, so is the request.

        Raises what ended the request, and QueueFull.
        """
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(over.set)

        self.engine.submit(request, tell)
        try:
            await over.wait()
        except asyncio.CancelledError:
            request.cancel()
            raise
        if request.error is not None:
            raise request.error


def deadline() -> float:
    """Until when a request that begins now may take, on the engine's clock."""
    return time.monotonic() + LONGEST_SECONDS


@asynccontextmanager
async def open_sampler(runtime: Runtime, blocklists: Blocklists | None = None) -> AsyncIterator[Sampler]:
    """Start the engine; end it with what is under way. Raises BrokenBlocklist where the lists were not read before."""
    settings = runtime.settings
    max_bytes = int(settings.model_cache_mb * 1_000_000)
    models = ServedModels(runtime.store, settings.data_dir / "models", max_bytes=max_bytes)
    async with runtime.transaction() as session:
        speaking = [version for _, version in await speakers(session)]
    await asyncio.to_thread(models.tidy, speaking)
    blocklists = blocklists or Blocklists.open(settings.blocklist)
    engine = SamplingEngine()
    try:
        async with counted_refusals(runtime) as refusals:
            yield Sampler(models, engine, blocklists=blocklists, refusals=refusals)
    finally:
        engine.close()
