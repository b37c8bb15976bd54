"""log-probs[B, V] + noise → tokens[B]: temperature, top-k, top-p. Pure: the noise is an argument."""

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray, TokenArray


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
        return log_probs.argmax(axis=1)
    weights = _weights(log_probs, temperature)
    if top_k is not None or top_p is not None:
        weights = np.where(_most_probable(weights, _kept(weights, top_k=top_k, top_p=top_p)), weights, 0.0)
    cumulative = weights.cumsum(axis=1)
    # uniform < 1, so the target lies below the sum, and the first place above it has a weight of its own.
    targets = uniforms * cumulative[:, -1]
    return (cumulative <= targets[:, np.newaxis]).sum(axis=1)


def _weights(log_probs: FloatArray, temperature: float) -> NDArray[np.float64]:
    """Probabilities up to a factor a row, the largest being 1: [B, V] float64."""
    scaled = log_probs.astype(np.float64)
    scaled -= scaled.max(axis=1, keepdims=True)
    scaled /= temperature
    return np.exp(scaled, out=scaled)


def _kept(weights: NDArray[np.float64], *, top_k: int | None, top_p: float | None) -> TokenArray:
    """How many tokens of each row stay: [B] int64, at least 1."""
    B, V = weights.shape
    k = V if top_k is None else min(top_k, V)
    if top_p is None:
        return np.full(B, k, dtype=np.int64)
    cumulative = np.sort(weights, axis=1)[:, : -k - 1 : -1].cumsum(axis=1)  # [B, k], most probable first
    reached = cumulative >= top_p * cumulative[:, -1:]
    return reached.argmax(axis=1) + 1


def _most_probable(weights: NDArray[np.float64], kept: TokenArray) -> NDArray[np.bool_]:
    """Which tokens are among the `kept` most probable of their row: [B, V] bool, exactly so many a row."""
    V = weights.shape[1]
    lowest = np.take_along_axis(np.sort(weights, axis=1), V - kept[:, np.newaxis], axis=1)
    above, equal = weights > lowest, weights == lowest
    room = kept - above.sum(axis=1)
    return above | (equal & (equal.cumsum(axis=1) <= room[:, np.newaxis]))
