"""Task: a system to be measured. Row: what was measured of it. Both cross a process boundary as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from ml.bench.corpus import Corpus
from ml.language_model import FloatArray
from ml.score import Score
from ml.training.directory import tokenizer_overrides

# (seconds since the training loop began, validation perplexity then). Ours are told after the validation itself.
Curve: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One system on one corpus.

    directory: an empty folder of its own. posts: the first so many training posts, 0 for all. base: the artifact that
    its training goes on from.
    """

    system: str
    preset: str
    overrides: Mapping[str, object]
    corpus: Corpus
    minutes: float
    seed: int
    sentences: int
    copied_words: int
    directory: Path
    posts: int = 0
    base: Path | None = None

    @property
    def all_overrides(self) -> dict[str, object]:
        """The system's, and those that make words of the corpus into tokens where it is one of words."""
        return tokenizer_overrides("words" if self.corpus.words else None) | dict(self.overrides)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured; None where there is nothing to measure. docs/benchmarks.md says what each counts.

    train_seconds: from reading the corpus to the finished model. fit_seconds: from token ids to the model.
    tokens_per_second: read while training. score_seconds: the cost of the test posts, once. score_tokens_per_second:
    the same as a speed. largest_difference: nats a token between the peer's scores and ours of the same model.
    reached_seconds: when validation was first as good as the reference's final one. speed_up: of that, over the
    reference. note: what a reader has to know; failed: whether it should have worked and did not.
    """

    system: str
    parameters: int | None = None
    train_seconds: float | None = None
    tokens_per_second: float | None = None
    valid_perplexity: float | None = None
    test_perplexity: float | None = None
    bits_per_byte: float | None = None
    fit_seconds: float | None = None
    score_seconds: float | None = None
    score_tokens_per_second: float | None = None
    largest_difference: float | None = None
    reached_seconds: float | None = None
    speed_up: float | None = None
    sentences_per_second: float | None = None
    copied_share: float | None = None
    verbatim_share: float | None = None
    curve: Curve = field(default=())
    note: str = ""
    failed: bool = False


class Measure(Protocol):
    """How a kind of system is measured. Raises MlError when it cannot be."""

    def __call__(self, task: Task) -> Row: ...


def score_of(log_probabilities: FloatArray, posts: tuple[str, ...]) -> Score:
    """What posts cost, as every evaluation counts it. log_probabilities: [T], natural, each post's `<eos>` included."""
    return Score(
        nats=-float(log_probabilities.sum(dtype=np.float64)),
        tokens=len(log_probabilities),
        bytes=sum(len(post.encode()) + 1 for post in posts),
    )
