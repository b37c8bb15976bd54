"""The temperature of a trained softmax, fitted on held-out posts: dropout leaves it too flat, many passes too sharp.

Source: Guo et al. 2017, §4.2; here by the likelihood of the mixture that the model becomes a part of.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray, TokenArray
from ml.models.mixture import best_weights
from ml.models.recurrent_stepper import RecurrentLanguageModel

TEMPERATURES: Final = tuple(round(0.7 + 0.04 * step, 2) for step in range(16))  # 0.7 … 1.3
# So many tokens settle it within a step of the grid, and take a few seconds.
MOST_TOKENS: Final = 20_000
_SCORED_AT_ONCE: Final = 256


def with_best_temperature(
    model: RecurrentLanguageModel, tokens: TokenArray, *, beside: Sequence[FloatArray] = ()
) -> RecurrentLanguageModel:
    """The model with the temperature under which held-out posts are likeliest.

    tokens: [T] int64; beside: [T] float32 each, their log-probabilities under the models that it will be mixed with,
    by weights that are fitted for each temperature anew.
    """
    tokens = tokens[:MOST_TOKENS]
    if len(tokens) == 0:
        return model
    scores = tempered_scores(model, tokens, TEMPERATURES)
    likelihoods = [_mixed_likelihood(np.stack([own, *(part[: len(tokens)] for part in beside)])) for own in scores]
    return model.with_temperature(TEMPERATURES[int(np.argmax(likelihoods))])


def tempered_scores(
    model: RecurrentLanguageModel, tokens: TokenArray, temperatures: Sequence[float]
) -> NDArray[np.float32]:
    """Log-probability of each token at each temperature: [K, T]. The network reads the posts only once."""
    outputs = model.read(tokens)
    scores = np.empty((len(temperatures), len(tokens)), dtype=np.float32)
    for start in range(0, len(tokens), _SCORED_AT_ONCE):
        block = slice(start, start + _SCORED_AT_ONCE)
        log_probs = model.with_temperature(1.0).log_probabilities(outputs[block])
        own = np.take_along_axis(log_probs, tokens[block, np.newaxis], axis=1)[:, 0]
        for row, temperature in enumerate(temperatures):
            # Logits but for a constant, which the division by their sum takes away.
            sums = np.exp(log_probs / np.float32(temperature)).sum(axis=1)
            scores[row, block] = own / np.float32(temperature) - np.log(sums)
    return scores


def _mixed_likelihood(log_probs: FloatArray) -> float:
    """Σ_t log Σ_m w_m p_m(t) with the best weights. log_probs: [M, T]."""
    weights = best_weights(log_probs)
    with np.errstate(divide="ignore"):
        weighted = log_probs + np.log(weights)[:, np.newaxis]
    return float(np.logaddexp.reduce(weighted, axis=0).sum())
