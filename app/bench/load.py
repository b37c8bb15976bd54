"""Target: which requests a load consists of. Load: what came of one, and its percentiles."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Target:
    """The same request to each of some paths in turn, on this machine. body: JSON, empty for a GET."""

    port: int
    paths: tuple[str, ...]
    body: str = ""
    key: str = ""

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"

    @property
    def headers(self) -> dict[str, str]:
        """Those that a client of the API sends."""
        sent = {"Content-Type": "application/json"} if self.body else {}
        return sent | ({"Authorization": f"Bearer {self.key}"} if self.key else {})


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of a load.

    seconds: how long it was kept up. answered: requests with status 200. errors: other answers, broken connections,
    and what had no answer when the time to wait was over. p50_ms, p99_ms: None without an answer. sentences, tokens:
    in all answers, each sentence's end counted.
    """

    seconds: float
    answered: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    sentences: int = 0
    tokens: int = 0

    @property
    def answers_per_second(self) -> float:
        return self.answered / self.seconds


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of them does not exceed. values: not empty; share: above 0, at most 1.

    Source: the nearest-rank definition; no value is made up between two that were measured.
    """
    return sorted(values)[math.ceil(share * len(values)) - 1]


def spoken_in(answer: bytes) -> tuple[int, int]:
    """How many sentences an answer of the service holds, and how many tokens."""
    said = json.loads(answer).get("sentences", ())
    return len(said), sum(each["tokens"] for each in said)
