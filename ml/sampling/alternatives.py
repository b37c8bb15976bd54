"""The likeliest tokens at a place of a text, noted for whoever asks what else could have been said there."""

from typing import TypeAlias

import numpy as np

from ml.language_model import FloatArray

Alternatives: TypeAlias = tuple[tuple[int, float], ...]
"""(token, natural log-probability under the model itself) each, the likeliest first."""


def likeliest(probabilities: FloatArray, k: int) -> Alternatives:
    """The k likeliest of V tokens: [V] → at most k of those that are possible. Of equals the lower id comes first."""
    k = min(k, len(probabilities))
    # Only what may be among the k is sorted; partition alone would leave it to chance which of equals these are.
    least = np.partition(probabilities, -k)[-k]
    chosen = np.flatnonzero((probabilities >= least) & (probabilities > 0))
    order = np.argsort(-probabilities[chosen], kind="stable")[:k]
    return tuple(
        (int(token), float(cost))
        for token, cost in zip(chosen[order], np.log(probabilities[chosen[order]]), strict=True)
    )
