"""What the caches share: giving a share of the probability to words that are remembered, and fitting how much."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray, TokenArray
from ml.models.mixture import best_weights

NOTHING: Final = -1  # where a row remembers fewer words than another
_LONGEST: Final = 100_000


def check_cache(*, weight: float, length: int) -> None:
    """Raises ValueError for a share or a length that no cache has."""
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of the cache is {weight}, which is no share")
    if not 1 <= length <= _LONGEST:
        raise ValueError(f"the length of the cache is {length}; it has to be 1 to {_LONGEST}")


def mix_in(
    log_probs: FloatArray,
    rows: TokenArray,
    words: TokenArray,
    probabilities: NDArray[np.float64],
    *,
    share: NDArray[np.float64],
) -> FloatArray:
    """Distributions in which remembered words get their part and the model shares out what is left: [B, V].

    log_probs: [B, V] of the model; rows, words, probabilities: [K], what each remembered word of each row gets, perhaps
    in several parts; share: [B], the sum of what a row's words get.
    """
    mixed: FloatArray = log_probs + log(1 - share).astype(np.float32)[:, np.newaxis]
    places, inverse = np.unique(rows * log_probs.shape[1] + words, return_inverse=True)
    remembered = log(np.bincount(inverse, weights=probabilities, minlength=len(places)).astype(np.float64))
    mixed.ravel()[places] = np.logaddexp(mixed.ravel()[places], remembered)
    return mixed


def mixed_score(
    log_probs: FloatArray, cached: NDArray[np.floating], filled: NDArray[np.float64], *, weight: float
) -> FloatArray:
    """(1 - λ n/N) p_model + λ n/N · p_cache of each token of a stream, as logarithms: [T].

    log_probs, cached: the logarithms of p_model and p_cache; filled: n/N; weight: λ.
    """
    mixed: FloatArray = np.logaddexp(log_probs + log(1 - weight * filled), cached + log(weight * filled))
    return mixed.astype(np.float32)


def best_share(log_probs: FloatArray, cached: NDArray[np.floating], filled: NDArray[np.float64]) -> tuple[float, float]:
    """How likely a stream becomes at best (natural logarithm), and under which λ. Arguments as of `mixed_score`."""
    # The equation is 1 - λ times its value at λ = 0 plus λ times its value at λ = 1: a mixture of two.
    ends = np.stack([log_probs, mixed_score(log_probs, cached, filled, weight=1)])
    weight = float(best_weights(ends)[1])
    return float(mixed_score(log_probs, cached, filled, weight=weight).sum(dtype=np.float64)), weight


def log(x: float | NDArray[np.floating]) -> NDArray[np.float64]:
    """Natural logarithm; that of 0 is -inf, which adds nothing."""
    with np.errstate(divide="ignore"):
        logarithm: NDArray[np.float64] = np.log(x)
    return logarithm
