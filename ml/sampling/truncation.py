"""Top-k, top-p, typical and min-p: which tokens of each row stay. Only rows that ask for one pay for it."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray, TokenArray
from ml.sampling.shape import Shape

_BUCKETS: Final = 64

# Where a float32 has its exponent; zero and what is too small to be normal have exponent 0.
_EXPONENT_SHIFT: Final = 23

# Of typical sampling: 64 buckets of a quarter of a nat reach 16 nats from the mean; what lies beyond shares the last.
_BUCKETS_A_NAT: Final = 4

_LEAST: Final = np.finfo(np.float32).tiny


def truncate(weights: FloatArray, shapes: Sequence[Shape]) -> None:
    """Set to 0, in place, what each row's shape leaves out, in the order of Shape's fields.

    weights: [B, V] float32, 0 or more, each row with something above 0; of that something stays. Rows of temperature 0
    are left alone: they need no truncation.
    """
    V = weights.shape[1]
    drawn = [(row, shape) for row, shape in enumerate(shapes) if shape.temperature > 0]
    _apply(_top_k, weights, asked=[(row, s.top_k) for row, s in drawn if s.top_k is not None and s.top_k < V])
    _apply(_top_p, weights, asked=[(row, s.top_p) for row, s in drawn if s.top_p is not None and s.top_p < 1])
    _apply(
        _typical, weights, asked=[(row, s.typical_p) for row, s in drawn if s.typical_p is not None and s.typical_p < 1]
    )
    _apply(_min_p, weights, asked=[(row, s.min_p) for row, s in drawn if s.min_p])


def _apply(
    control: Callable[[FloatArray, NDArray[np.float64]], None],
    weights: FloatArray,
    *,
    asked: Sequence[tuple[int, float]],
) -> None:
    """Run a control on the rows that ask for it, with the value that each asks for."""
    if not asked:
        return
    rows = [row for row, _ in asked]
    taken = weights[rows]
    control(taken, np.array([value for _, value in asked], dtype=np.float64))
    weights[rows] = taken


def _top_k(weights: FloatArray, ks: NDArray[np.float64]) -> None:
    """Only the k most probable tokens of each row: [n, V] and [n]."""
    order = -weights
    last = np.empty(len(weights), dtype=np.float32)
    for k in np.unique(ks).astype(np.int64):
        same = np.flatnonzero(ks == k)
        last[same] = np.partition(order[same], k - 1, axis=1)[:, k - 1]
    _keep_first(weights, order, kept=ks.astype(np.int64), last=last)


def _top_p(weights: FloatArray, shares: NDArray[np.float64]) -> None:
    """Only the fewest most probable tokens that reach a share of the row's weight."""
    exponents = weights.view(np.int32) >> _EXPONENT_SHIFT
    buckets = np.minimum(exponents.max(axis=1, keepdims=True) - exponents, _BUCKETS - 1)
    order = -weights
    kept, last = _fewest(weights, order, buckets=buckets, shares=shares)
    _keep_first(weights, order, kept=kept, last=last)


def _typical(weights: FloatArray, shares: NDArray[np.float64]) -> None:
    """Only the fewest tokens that reach a share of the row's weight, from the most typical on.

    How far a surprisal is from the entropy is how far a logarithm is from the mean logarithm, so nothing has to be
    normalised.
    """
    logs = np.log(np.maximum(weights, _LEAST))
    means = (weights * logs).sum(axis=1) / weights.sum(axis=1)
    order = np.abs(logs - means[:, np.newaxis])
    buckets = np.minimum(order * _BUCKETS_A_NAT, _BUCKETS - 1).astype(np.int32)
    kept, last = _fewest(weights, order, buckets=buckets, shares=shares)
    _keep_first(weights, order, kept=kept, last=last)


def _min_p(weights: FloatArray, shares: NDArray[np.float64]) -> None:
    """Only what weighs at least a share of the heaviest of its row."""
    lowest = shares.astype(np.float32) * weights.max(axis=1)
    weights[weights < lowest[:, np.newaxis]] = 0


def _fewest(
    weights: FloatArray, order: FloatArray, *, buckets: NDArray[np.int32], shares: NDArray[np.float64]
) -> tuple[TokenArray, FloatArray]:
    """How many tokens, by ascending `order`, reach `shares` of the row's weight: [n] int64; and the last one's order.

    Sorting whole rows would cost more than many a model's step. So the tokens lie in buckets (buckets: [n, V], coarser
    than `order` and never contradicting it), the mass of each bucket is summed, and only the one bucket in which the
    share is reached is sorted.
    """
    n = len(weights)
    places = buckets + (np.arange(n) * _BUCKETS)[:, np.newaxis]
    masses = np.bincount(places.ravel(), weights=weights.ravel(), minlength=n * _BUCKETS).reshape(n, _BUCKETS)
    reached = masses.cumsum(axis=1)
    targets = shares * reached[:, -1]
    decisive = (reached >= targets[:, np.newaxis]).argmax(axis=1)
    kept, last = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.float32)
    for row, bucket in enumerate(decisive):
        inside = np.flatnonzero(buckets[row] == bucket)
        inside = inside[np.argsort(order[row, inside], kind="stable")]
        before = reached[row, bucket - 1] if bucket else 0.0
        sums = before + weights[row, inside].cumsum(dtype=np.float64)
        final = min(int(np.searchsorted(sums, targets[row])), len(inside) - 1)
        kept[row] = np.count_nonzero(buckets[row] < bucket) + final + 1
        last[row] = order[row, inside[final]]
    return kept, last


def _keep_first(weights: FloatArray, order: FloatArray, *, kept: TokenArray, last: FloatArray) -> None:
    """Set to 0 all but the `kept` tokens that come first in each row; among equals the lower ids do.

    order: [n, V], smaller goes first; kept: [n]; last: [n], the order of the last that stays.
    """
    last = last[:, np.newaxis]
    stays = order <= last
    for row in np.flatnonzero(np.count_nonzero(stays, axis=1) > kept):
        equals = np.flatnonzero(order[row] == last[row])
        surplus = np.count_nonzero(stays[row]) - kept[row]
        stays[row, equals[len(equals) - surplus :]] = False
    weights[~stays] = 0
