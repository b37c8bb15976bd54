"""log-probs[B, V] + noise → tokens[B]: temperature, top-k, top-p. Pure: the noise is an argument."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray, TokenArray

# Binary exponents told apart by top-p: what weighs less than 2^-62 of the most probable token shares the last bucket.
_BUCKETS: Final = 64


def draw(
    log_probs: FloatArray,
    uniforms: NDArray[np.float64],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> TokenArray:
    """One token a row, by inverting the cumulative sum of the row's probabilities.

    log_probs: [B, V] float32, natural logarithms, not necessarily normalised; what must not be drawn is -inf, and each
    row has something that is not. uniforms: [B] float64 in [0, 1), one a row. temperature: divides the log-probs; 0
    takes the most probable token. top_k: only the k most probable tokens stay. top_p: of those, only the fewest most
    probable whose probabilities reach p. Of equally probable tokens the lower id goes first.

    Returns [B] int64. A row's token depends on that row alone.

    Source: top-p: Holtzman et al. 2020, §3.1; applied after temperature and top-k.
    """
    if temperature == 0:
        most_probable: TokenArray = log_probs.argmax(axis=1)
        return most_probable
    weights = _weights(log_probs, temperature)
    if top_k is not None and top_k < weights.shape[1]:
        weights = _truncate(weights, *_top(weights, top_k))
    if top_p is not None and top_p < 1:
        weights = _truncate(weights, *_nucleus(weights, top_p))
    cumulative = weights.cumsum(axis=1)
    # uniform < 1, so the target lies below the sum, and the first place above it has a weight of its own.
    targets = uniforms * cumulative[:, -1]
    tokens: TokenArray = (cumulative <= targets[:, np.newaxis]).sum(axis=1)
    return tokens


def _weights(log_probs: FloatArray, temperature: float) -> NDArray[np.float64]:
    """Probabilities up to a factor a row, the largest being 1: [B, V] float64."""
    scaled = log_probs.astype(np.float64)
    scaled -= scaled.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # next to no temperature: all but the most probable go to -inf, as they should
        scaled /= temperature
    return np.exp(scaled, out=scaled)


def _top(weights: NDArray[np.float64], k: int) -> tuple[TokenArray, NDArray[np.float64]]:
    """How many tokens of each row stay ([B] int64), and the weight of the last of them ([B] float64)."""
    B, V = weights.shape
    return np.full(B, k, dtype=np.int64), np.partition(weights, V - k, axis=1)[:, V - k]


def _nucleus(weights: NDArray[np.float64], p: float) -> tuple[TokenArray, NDArray[np.float64]]:
    """As _top, for the fewest most probable tokens that reach p of the row's weight.

    Sorting whole rows would cost more than many a model's step. So the weights are put into buckets by their binary
    exponent, the mass of each bucket is summed, and only the one bucket in which p is reached is sorted.
    """
    B = len(weights)
    buckets = np.minimum(1 - np.frexp(weights)[1], _BUCKETS - 1)  # [B, V]: 0 holds 1, 1 holds [½, 1), 2 holds [¼, ½) …
    buckets[weights == 0] = _BUCKETS - 1  # what is not to be drawn; its exponent would put it beside ½
    places = buckets + np.arange(B)[:, np.newaxis] * _BUCKETS
    masses = np.bincount(places.ravel(), weights=weights.ravel(), minlength=B * _BUCKETS).reshape(B, _BUCKETS)
    cumulative = masses.cumsum(axis=1)
    targets = p * cumulative[:, -1]
    decisive = (cumulative >= targets[:, np.newaxis]).argmax(axis=1)
    kept, lowest = np.empty(B, dtype=np.int64), np.empty(B)
    for row, bucket in enumerate(decisive):
        inside = np.sort(weights[row, buckets[row] == bucket])[::-1]
        before = cumulative[row, bucket] - masses[row, bucket]
        last = min(np.searchsorted(before + inside.cumsum(), targets[row]), len(inside) - 1)
        kept[row] = np.count_nonzero(buckets[row] < bucket) + last + 1
        lowest[row] = inside[last]
    return kept, lowest


def _truncate(weights: NDArray[np.float64], kept: TokenArray, lowest: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights with all but the `kept` largest of each row at 0; among equals the lower ids are kept.

    kept: [B] int64; lowest: [B] float64, the smallest weight that is kept.
    """
    lowest = lowest[:, np.newaxis]
    above, equal = weights > lowest, weights == lowest
    room = kept - above.sum(axis=1)
    return np.where(above | (equal & (equal.cumsum(axis=1) <= room[:, np.newaxis])), weights, 0.0)
