"""The bare route: what FastAPI and uvicorn answer at most, and what of it our middleware leaves."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Final

from app.bench.closed_loop import closed_loop
from app.bench.load import Load, Target
from app.bench.row import Row, row_of_load
from app.bench.service import Service, answering
from app.bench.stage import Stage

CONNECTIONS: Final = 32
# In turn, so that what else the machine does meets both.
ROUNDS: Final = 3
BARE: Final = "bare FastAPI route"
HEALTHZ: Final = "/healthz"


def bare(stage: Stage) -> Iterator[Row]:
    """Both at once in two processes, of which one is asked at a time."""
    with answering(stage, ("app.bench.bare",)) as plain, answering(stage) as service:
        pairs = [(_ask(plain, stage), _ask(service, stage)) for _ in range(ROUNDS)]
    bare_rows, healthz_rows = zip(*pairs, strict=True)
    route = _middle(bare_rows)
    ours = _middle(healthz_rows)
    yield row_of_load("bare", BARE, route)
    share = ours.answers_per_second / route.answers_per_second
    yield replace(row_of_load("bare", HEALTHZ, ours, note="over the bare route"), ratio=share)


def _ask(service: Service, stage: Stage) -> Load:
    target = Target(port=service.port, paths=("/healthz",))
    return closed_loop(target, connections=CONNECTIONS, seconds=stage.seconds / ROUNDS)


def _middle(loads: tuple[Load, ...]) -> Load:
    middle = median(load.answers_per_second for load in loads)
    return next(load for load in loads if load.answers_per_second == middle)
