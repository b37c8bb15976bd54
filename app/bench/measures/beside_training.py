"""Sentences at a constant rate while the default preset is trained on the same machine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from app.bench.errors import BenchmarkError
from app.bench.load import Load
from app.bench.measures.over_http import at_rate, rate_setting, speaking
from app.bench.row import Row, row_of_load
from app.bench.stage import PRESET, SEED, Stage
from app.training.process import training_child
from ml.training import events, run
from ml.training.directory import prepare

RATE: Final = 50
# More than the load takes; the training is stopped after it.
MINUTES: Final = 10.0


def training(stage: Stage) -> Iterator[Row]:
    """The child is begun as the worker begins it. The load begins when the training's steps have begun."""
    directory = stage.folder / "beside"
    files = {split: [path] for split, path in stage.corpus.files.items()}
    prepare(directory, run.Request(preset=PRESET, seed=SEED, minutes=MINUTES), files=files)
    with speaking(stage) as (service, handle):
        load = asyncio.run(_ask_beside(directory, lambda: at_rate(service, stage, handle, requests_per_second=RATE)))
    yield row_of_load("training", rate_setting(RATE), load)


async def _ask_beside(directory: Path, ask: Callable[[], Load]) -> Load:
    async with training_child(directory) as told:
        await _until_it_steps(told)
        # Someone has to read on, or the child would wait for us.
        listening = asyncio.create_task(_listen(told))
        load = await asyncio.to_thread(ask)
        if listening.done():
            raise BenchmarkError(f"The training was over before the load: {listening.exception() or 'it ended early'}.")
        listening.cancel()
        return load


async def _until_it_steps(told: AsyncIterator[events.Event | None]) -> None:
    async for event in told:
        match event:
            case events.Failed():
                raise BenchmarkError(f"The training failed: {event.detail}")
            case events.Progress():
                return


async def _listen(told: AsyncIterator[events.Event | None]) -> None:
    async for _ in told:
        pass
