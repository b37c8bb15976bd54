"""Sentences over HTTP: closed loops of rising width, and constant rates."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Final

from app.bench import personas
from app.bench.closed_loop import closed_loop
from app.bench.constant_rate import constant_rate
from app.bench.load import Load
from app.bench.row import Row, row_of_load
from app.bench.service import SERVE, Service, answering
from app.bench.stage import Stage
from ml.bench.apart import run_apart

CONNECTIONS: Final = (1, 8, 32, 64)
SENTENCES: Final = (1, 10)
RATES: Final = (50, 100, 200, 400)
HIGH_RATE: Final = 200
_CONNECTIONS_A_PROCESS: Final = 10
# What is asked of `mynah serve --processes`: as many as there are cores, since an engine keeps one of them busy.
PROCESSES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loop_setting(connections: int, n: int, *, processes: int = 1) -> str:
    """The setting of a closed loop, as the table tells it."""
    return f"c = {connections}, n = {n}" + (f", {processes} processes" if processes > 1 else "")


def rate_setting(requests_per_second: float, *, processes: int = 1) -> str:
    """The setting of a constant rate, as the table tells it."""
    return f"{requests_per_second:g} requests/s" + (f", {processes} processes" if processes > 1 else "")


def http(stage: Stage) -> Iterator[Row]:
    """One persona, c connections, n sentences a request; at the widest also with a process for every core."""
    settings = [(n, connections, 1) for n, connections in product(SENTENCES, CONNECTIONS)]
    if PROCESSES > 1:
        settings += [(n, CONNECTIONS[-1], PROCESSES) for n in SENTENCES]
    for n, connections, processes in settings:
        with speaking(stage, processes=processes) as (service, handle):
            load = closed_loop(service.target([handle], n=n), connections=connections, seconds=stage.seconds)
        yield row_of_load("http", loop_setting(connections, n, processes=processes), load)


def rate(stage: Stage) -> Iterator[Row]:
    """One persona, one sentence a request; at the higher rates also with a process for every core."""
    settings = [(requests_per_second, 1) for requests_per_second in RATES]
    if PROCESSES > 1:
        settings += [
            (requests_per_second, PROCESSES) for requests_per_second in RATES if requests_per_second >= HIGH_RATE
        ]
    for requests_per_second, processes in settings:
        with speaking(stage, processes=processes) as (service, handle):
            load = at_rate(service, stage, handle, requests_per_second=requests_per_second)
        yield row_of_load("rate", rate_setting(requests_per_second, processes=processes), load)


@contextmanager
def speaking(stage: Stage, *, processes: int = 1) -> Iterator[tuple[Service, str]]:
    """A service that has loaded the model of one persona, in every process, and its handle.

    Each load has a service of its own: what a load leaves unanswered keeps a service busy for a while.
    """
    (handle,) = personas.handles(1)
    with answering(stage, (*SERVE, "--processes", str(processes))) as service:
        # A new connection each time: after so many it is unlikely that a process has had none.
        for _ in range(_CONNECTIONS_A_PROCESS * processes if processes > 1 else 1):
            service.say(handle)
        yield service, handle


def at_rate(service: Service, stage: Stage, handle: str, *, requests_per_second: float) -> Load:
    """One persona at a constant rate, from a process of its own."""
    target = service.target([handle], n=1)
    return run_apart(constant_rate, target, requests_per_second=requests_per_second, seconds=stage.seconds)
