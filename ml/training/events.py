"""What a training tells while it runs: frozen values, each one JSON line on the wire.

JSON has no infinity: a figure that is infinite (the perplexity of a model that ruled out what came) is null there.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The parts are wired. posts, tokens: how many, by split."""

    posts: dict[str, int]
    tokens: dict[str, int]
    vocabulary_size: int
    parameters: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """About once a second. progress: 0 … 1 of the planned steps."""

    progress: float
    epoch: int
    tokens_per_second: float
    remaining_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One pass over the training posts is done. train_perplexity is the mean over the pass, with dropout."""

    epoch: int
    train_perplexity: float
    valid_perplexity: float
    seconds: float
    tokens_per_second: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """What a split cost. model: `candidate` (the one just trained) or `champion` (the one that is served)."""

    model: str
    split: str
    nats: float
    tokens: int
    bytes: int
    perplexity: float
    bits_per_byte: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The artifact lies whole in this folder of the training's directory."""

    artifact: str
    parameters: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """It cannot be done; type is a slug, detail says what to do."""

    type: str
    detail: str


Event: TypeAlias = Started | Progress | Epoch | Evaluated | Finished | Failed

_NAMES: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Started, Progress, Epoch, Evaluated, Finished, Failed)
}


def to_line(event: Event) -> str:
    """One line of JSON, without its end."""
    figures = {name: None if value == math.inf else value for name, value in asdict(event).items()}
    return json.dumps({"event": type(event).__name__.lower(), **figures}, allow_nan=False)


def from_line(line: str) -> Event:
    """The event of a line. Raises ValueError for a line that is none."""
    try:
        values = json.loads(line)
        kind = _NAMES[values.pop("event")]
        figures = [field.name for field in fields(kind) if field.type is float]
        return kind(**values | {name: math.inf for name in figures if values[name] is None})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no event: {line[:200]!r}") from error
