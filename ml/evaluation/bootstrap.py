"""How sure a score is: percentile intervals by drawing the posts anew, with replacement.

Posts are what is drawn, not tokens: the tokens of a post stand or fall together. The cost of a post is taken as it was
read, so nothing is scored again. A model that carries its state across posts makes neighbours depend on each other,
which no drawing of single posts sees; its interval is a little too narrow.

Source: Efron & Tibshirani 1993, §13.3 (percentiles); Koehn 2004, §4 (the same posts for both models).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import ConfigError, EvaluationError
from ml.evaluation.posts import PostScores

RESAMPLES: Final = 2000
LEVEL: Final = 0.95
# Drawn numbers that are held at once: 16 MiB of indices, however many posts there are.
_DRAWN_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle share `level` of what the resamples gave lies between low and high."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of perplexity and of bits per byte, from the same resamples."""

    perplexity: Interval
    bits_per_byte: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """Model A against model B on the same posts.

    difference: bits per byte of A less those of B, below 0 where A is better; interval: of the difference.
    probability_better: the share of the resamples in which A costs less, a tie counted by half.
    """

    difference: float
    interval: Interval
    probability_better: float


def intervals(scores: PostScores, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL) -> Intervals:
    """Percentile intervals of perplexity and bits per byte. Raises EvaluationError for fewer than two posts."""
    _check(scores, seed=seed, resamples=resamples, level=level)
    columns = np.stack([scores.nats, scores.tokens, scores.bytes], axis=1)
    nats, tokens, sizes = _resampled_sums(columns, resamples=resamples, seed=seed).T
    with np.errstate(over="ignore"):  # a perplexity that is no float is infinite
        return Intervals(
            perplexity=_interval(np.exp(nats / tokens), level),
            bits_per_byte=_interval(nats / math.log(2) / sizes, level),
        )


def compare(a: PostScores, b: PostScores, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL) -> Comparison:
    """Paired bootstrap: each resample holds the same posts for both models, whatever their tokenizers.

    Raises EvaluationError for fewer than two posts, or when the posts are not the same.
    """
    for scores in (a, b):
        _check(scores, seed=seed, resamples=resamples, level=level)
    if not np.array_equal(a.bytes, b.bytes):
        raise EvaluationError("The models were not scored on the same posts. Score both on one file.")
    columns = np.stack([a.nats - b.nats, a.bytes], axis=1)
    nats, sizes = _resampled_sums(columns, resamples=resamples, seed=seed).T
    better = np.count_nonzero(nats < 0) + np.count_nonzero(nats == 0) / 2
    return Comparison(
        difference=a.total.bits_per_byte - b.total.bits_per_byte,
        interval=_interval(nats / math.log(2) / sizes, level),
        probability_better=better / resamples,
    )


def _check(scores: PostScores, *, seed: int, resamples: int, level: float) -> None:
    if len(scores.bytes) < 2:
        raise EvaluationError(f"An interval needs at least 2 posts; there are {len(scores.bytes)}. Give more posts.")
    if not np.isfinite(scores.token_nats).all():
        raise EvaluationError(
            "A post holds a token that the model rules out, so that it costs infinitely much. "
            "Leave the interval out, or take a model that rules nothing out."
        )
    if seed < 0 or resamples < 1 or not 0 < level < 1:
        raise ConfigError(
            f"seed is {seed}, resamples {resamples} and level {level}; "
            "they have to be 0 or more, 1 or more, and between 0 and 1."
        )


def _resampled_sums(columns: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """The sum of N rows drawn with replacement, again and again. columns: [N, C] → [resamples, C] float64."""
    return np.concatenate(list(_blocks_of_sums(columns, resamples=resamples, seed=seed)))


def _blocks_of_sums(columns: NDArray[np.float64], *, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    N = len(columns)
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // N)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.integers(N, size=(rows, N)) + np.arange(rows)[:, np.newaxis] * N
        counts = np.bincount(drawn.ravel(), minlength=rows * N).reshape(rows, N)
        yield counts @ columns


def _interval(values: NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)
