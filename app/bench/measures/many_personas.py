"""Twenty personas that are asked in turn, alone and among a thousand."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from app.bench import personas
from app.bench.closed_loop import closed_loop
from app.bench.load import Load
from app.bench.measures.over_http import mean_tokens
from app.bench.row import Row, row_of_load
from app.bench.service import Service, answering
from app.bench.stage import PERSONAS, Stage

HOT: Final = 20
ALL: Final = 1000
CONNECTIONS: Final = 32
ALONE: Final = f"{HOT} personas alone"
AMONG: Final = f"the same among {ALL:,}"


def many(stage: Stage) -> Iterator[Row]:
    """Both by the same process, so that it has the same models loaded."""
    settings, hot = stage.settings, personas.handles(HOT)
    asyncio.run(personas.add(settings, stage.artifact, handles=hot[PERSONAS:]))
    with answering(stage) as service:
        tokens = sum(mean_tokens(service, handle) for handle in hot) / HOT
        alone = _ask(service, stage, hot)
        yield row_of_load("many", ALONE, alone, sentences=1, tokens_a_sentence=tokens)
        service.settle()
        others = personas.handles(ALL - HOT, first=HOT)
        asyncio.run(personas.add(settings, stage.artifact, handles=others, with_files=False))
        among = _ask(service, stage, hot)
        row = row_of_load("many", AMONG, among, sentences=1, tokens_a_sentence=tokens, note="over the 20 alone")
        yield replace(row, ratio=among.answers_per_second / alone.answers_per_second if alone.answered else None)


def _ask(service: Service, stage: Stage, hot: list[str]) -> Load:
    return closed_loop(service.target(hot, n=1), connections=CONNECTIONS, seconds=stage.seconds)
