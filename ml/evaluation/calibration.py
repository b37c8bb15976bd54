"""Whether probabilities are true: of the tokens that a model is 70 % sure of, are 70 % right?

Source: Guo et al. 2017, §2 (expected calibration error over the confidence in the most probable token).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import EvaluationError
from ml.language_model import LanguageModel
from ml.text.tokenizer import Tokenizer

BINS: Final = 10
MAX_POSTS: Final = 1000
"""Posts that are looked at: distributions over all tokens are needed, and these give a bin some thousand places."""

# Posts that are read side by side: enough to share the cost of a step, and [B, V] arrays of some MiB.
_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class Bin:
    """Places at which the most probable token had a probability from low to high.

    tokens: how many places. confidence: mean probability of the most probable token; accuracy: how often it came.
    """

    low: float
    high: float
    tokens: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """error: mean over the places of |confidence - accuracy| of their bins, 0 … 1; bins: those that are not empty."""

    tokens: int
    error: float
    bins: tuple[Bin, ...]


def calibration(model: LanguageModel, tokenizer: Tokenizer, posts: Sequence[str]) -> Calibration:
    """Compare confidence with accuracy at each token of the first MAX_POSTS posts.

    Each post is read from the initial state, as a sampler begins one. Raises EvaluationError without posts, or for a
    model that gives no numbers.
    """
    if not posts:
        raise EvaluationError("Without posts there is nothing to compare probabilities with. Give some.")
    encoded = sorted(([*tokenizer.encode(post), tokenizer.eos] for post in posts[:MAX_POSTS]), key=len, reverse=True)
    looked = [
        _look(model, encoded[start : start + _ROWS], eos=tokenizer.eos) for start in range(0, len(encoded), _ROWS)
    ]
    confidence = np.concatenate([part[0] for part in looked])
    right = np.concatenate([part[1] for part in looked])
    if not np.isfinite(confidence).all():
        raise EvaluationError("The model gives probabilities that are no numbers. Train it again.")
    return in_bins(confidence, right)


def in_bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    """confidence: [N] float64 in 0 … 1; right: [N] bool, whether the most probable token came. N is at least 1."""
    number = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    places = np.bincount(number, minlength=BINS)
    sure = np.bincount(number, weights=confidence, minlength=BINS)
    came = np.bincount(number, weights=right, minlength=BINS)
    bins = tuple(
        Bin(b / BINS, (b + 1) / BINS, int(places[b]), float(sure[b] / places[b]), float(came[b] / places[b]))
        for b in np.flatnonzero(places).tolist()
    )
    return Calibration(len(confidence), error=float(np.abs(sure - came).sum() / len(confidence)), bins=bins)


def _look(
    model: LanguageModel, posts: Sequence[Sequence[int]], *, eos: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence and rightness at each token of posts that are sorted by length, the longest first."""
    read = np.full(len(posts), eos, dtype=np.int64)
    state = model.initial_state(len(posts))
    confidences, rights = [], []
    for t in range(len(posts[0])):
        going_on = sum(len(post) > t for post in posts)
        if going_on < len(read):
            read, state = read[:going_on], state.take(np.arange(going_on))
        log_probs, state = model.step(read, state)
        read = np.array([post[t] for post in posts[:going_on]], dtype=np.int64)
        confidences.append(np.exp(log_probs.max(axis=1).astype(np.float64)))
        rights.append(log_probs.argmax(axis=1) == read)
    return np.concatenate(confidences), np.concatenate(rights)
