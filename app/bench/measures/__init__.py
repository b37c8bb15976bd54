"""One file a group of rows, each measure a function `Stage → rows`, told in the order of the table."""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from app.bench.measures.bare_route import bare
from app.bench.measures.beside_training import training
from app.bench.measures.many_personas import many
from app.bench.measures.one_process import memory, start
from app.bench.measures.over_http import http, rate
from app.bench.measures.without_http import engine, markovify, naive
from app.bench.row import Row
from app.bench.stage import Stage

Measure: TypeAlias = Callable[[Stage], Iterator[Row]]

# `many` is the last: it adds personas to the database.
MEASURES: Final[dict[str, Measure]] = {
    "bare": bare,
    "naive": naive,
    "markovify": markovify,
    "engine": engine,
    "http": http,
    "rate": rate,
    "training": training,
    "memory": memory,
    "start": start,
    "many": many,
}
