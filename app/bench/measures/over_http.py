"""Sentences over HTTP: closed loops of rising width, and constant rates."""

from collections.abc import Iterator
from typing import Final

from app.bench import personas, request
from app.bench.closed_loop import closed_loop
from app.bench.constant_rate import constant_rate
from app.bench.row import Row, row_of_load
from app.bench.service import Service, answering
from app.bench.stage import Stage
from ml.bench.apart import run_apart

CONNECTIONS: Final = (1, 8, 32, 64)
SENTENCES: Final = (1, 10)
RATES: Final = (50, 100, 200, 400)
# How many sentences the mean length is taken of.
MEASURED_SENTENCES: Final = 100


def loop_setting(connections: int, n: int) -> str:
    """The setting of a closed loop, as the table tells it."""
    return f"c = {connections}, n = {n}"


def rate_setting(requests_per_second: float) -> str:
    """The setting of a constant rate, as the table tells it."""
    return f"{requests_per_second:g} requests/s"


def http(stage: Stage) -> Iterator[Row]:
    """One persona, c connections, n sentences a request."""
    with answering(stage) as service:
        (handle,) = personas.handles(1)
        tokens = mean_tokens(service, handle)
        for n in SENTENCES:
            for connections in CONNECTIONS:
                load = closed_loop(service.target([handle], n=n), connections=connections, seconds=stage.seconds)
                yield row_of_load("http", loop_setting(connections, n), load, sentences=n, tokens_a_sentence=tokens)
                service.settle()


def rate(stage: Stage) -> Iterator[Row]:
    """One persona, one sentence a request."""
    with answering(stage) as service:
        for requests_per_second in RATES:
            yield at_rate(service, stage, name="rate", requests_per_second=requests_per_second)
            service.settle()


def at_rate(service: Service, stage: Stage, *, name: str, requests_per_second: float) -> Row:
    """One persona at a constant rate, from a process of its own."""
    (handle,) = personas.handles(1)
    tokens = mean_tokens(service, handle)
    target = service.target([handle], n=1)
    load = run_apart(constant_rate, target, requests_per_second=requests_per_second, seconds=stage.seconds)
    return row_of_load(name, rate_setting(requests_per_second), load, sentences=1, tokens_a_sentence=tokens)


def mean_tokens(service: Service, handle: str) -> float:
    """Tokens of a sentence, on average. It also is the first request to a persona: its model is loaded after it."""
    sentences = service.say(handle, n=MEASURED_SENTENCES)["sentences"]
    return request.tokens_of(sentences) / len(sentences)
