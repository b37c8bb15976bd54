"""Top-k, top-p, typical and min-p: which tokens of each row stay. Only rows that ask for one pay for it."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray
from ml.sampling.shape import Shape

# With so few rows at a time, what a control needs beside them stays in the cache and off the kernel's hands.
_ROWS_AT_ONCE: Final = 8

_BUCKETS: Final = 256

# A float32 without its lowest 21 bits: its exponent and a quarter of the way to the next. 256 such steps reach 2^-64 of
# the most probable token; what weighs less shares the last bucket.
_BITS_LEFT_OUT: Final = 21

# Of typical sampling: 256 buckets reach 16 nats from the mean; what lies beyond shares the last.
_BUCKETS_A_NAT: Final = 16

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
    for begin in range(0, len(asked), _ROWS_AT_ONCE):
        some = asked[begin : begin + _ROWS_AT_ONCE]
        rows = [row for row, _ in some]
        taken = weights[rows]
        control(taken, np.array([value for _, value in some], dtype=np.float64))
        weights[rows] = taken


def _top_k(weights: FloatArray, ks: NDArray[np.float64]) -> None:
    """Only the k most probable tokens of each row: [n, V] and [n]; among equals the lower ids."""
    n, V = weights.shape
    lowest = np.empty((n, 1), dtype=np.float32)
    for k in np.unique(ks).astype(np.int64):
        same = np.flatnonzero(ks == k)
        lowest[same, 0] = np.partition(weights[same], V - k, axis=1)[:, V - k]
    stays = weights >= lowest
    surplus = np.count_nonzero(stays, axis=1) - ks.astype(np.int64)
    for row in np.flatnonzero(surplus):
        equals = np.flatnonzero(weights[row] == lowest[row])
        stays[row, equals[-surplus[row] :]] = False
    weights *= stays


def _top_p(weights: FloatArray, shares: NDArray[np.float64]) -> None:
    """Only the fewest most probable tokens that reach a share of the row's weight."""
    steps = weights.view(np.int32) >> _BITS_LEFT_OUT
    buckets = np.minimum(steps.max(axis=1, keepdims=True) - steps, _BUCKETS - 1)
    _keep_fewest(weights, -weights, buckets=buckets, shares=shares)


def _typical(weights: FloatArray, shares: NDArray[np.float64]) -> None:
    """Only the fewest tokens that reach a share of the row's weight, from the most typical on.

    How far a surprisal is from the entropy is how far a logarithm is from the mean logarithm, so nothing has to be
    normalised.
    """
    logs = np.log(np.maximum(weights, _LEAST))
    means = (weights * logs).sum(axis=1) / weights.sum(axis=1)
    order = np.abs(logs - means[:, np.newaxis])
    buckets = np.minimum(order * _BUCKETS_A_NAT, _BUCKETS - 1).astype(np.int32)
    _keep_fewest(weights, order, buckets=buckets, shares=shares)


def _min_p(weights: FloatArray, shares: NDArray[np.float64]) -> None:
    """Only what weighs at least a share of the heaviest of its row."""
    lowest = shares.astype(np.float32) * weights.max(axis=1)
    weights *= weights >= lowest[:, np.newaxis]


def _keep_fewest(
    weights: FloatArray, order: FloatArray, *, buckets: NDArray[np.int32], shares: NDArray[np.float64]
) -> None:
    """Set to 0 all but the fewest tokens, by ascending `order`, that reach `shares` of the row's weight.

    weights, order: [n, V]; among equals the lower ids go first. shares: [n].

    Sorting whole rows would cost more than many a model's step. So the tokens lie in buckets (buckets: [n, V], coarser
    than `order` and never contradicting it), the mass of each bucket is summed, and only the one bucket in which the
    share is reached is sorted.
    """
    n = len(weights)
    places = buckets + np.arange(0, n * _BUCKETS, _BUCKETS)[:, np.newaxis]
    masses = np.bincount(places.ravel(), weights=weights.ravel(), minlength=n * _BUCKETS).reshape(n, _BUCKETS)
    reached = masses.cumsum(axis=1)
    targets = shares * reached[:, -1]
    decisive = (reached >= targets[:, np.newaxis]).argmax(axis=1)
    last = np.empty((n, 1), dtype=np.float32)
    for row, bucket in enumerate(decisive):
        inside = np.flatnonzero(buckets[row] == bucket)
        inside = inside[np.argsort(order[row, inside], kind="stable")]
        before = reached[row, bucket - 1] if bucket else 0.0
        sums = before + weights[row, inside].cumsum(dtype=np.float64)
        final = min(int(np.searchsorted(sums, targets[row])), len(inside) - 1)
        last[row] = order[row, inside[final]]
        weights[row, inside[final + 1 :]] = 0
    weights *= order <= last  # ten times as fast as storing zeros where a mask says so
