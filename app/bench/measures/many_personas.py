"""Twenty personas that are asked in turn, alone and among a thousand."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from app.bench import personas
from app.bench.closed_loop import closed_loop
from app.bench.load import Load
from app.bench.row import Row, row_of_load
from app.bench.service import answering
from app.bench.stage import PERSONAS, Stage

HOT: Final = 20
ALL: Final = 1000
CONNECTIONS: Final = 32
ALONE: Final = f"{HOT} personas alone"
AMONG: Final = f"the same among {ALL:,}"


def many(stage: Stage) -> Iterator[Row]:
    """The rows of the others are added in between; all twenty have said something before each load."""
    settings, hot = stage.settings, personas.handles(HOT)
    asyncio.run(personas.add(settings, stage.artifact, handles=hot[PERSONAS:]))
    alone = _ask(stage, hot)
    yield row_of_load("many", ALONE, alone)
    others = personas.handles(ALL - HOT, first=HOT)
    asyncio.run(personas.add(settings, stage.artifact, handles=others, with_files=False))
    among = _ask(stage, hot)
    ratio = among.answers_per_second / alone.answers_per_second if alone.answered else None
    yield replace(row_of_load("many", AMONG, among, note="over the 20 alone"), ratio=ratio)


def _ask(stage: Stage, hot: list[str]) -> Load:
    with answering(stage) as service:
        for handle in hot:
            service.say(handle)
        return closed_loop(service.target(hot, n=1), connections=CONNECTIONS, seconds=stage.seconds)
