"""Whether what a model says is as long as what was written: lengths of sampled sentences against held-out posts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import EvaluationError
from ml.language_model import LanguageModel
from ml.sampling.controls import Controls
from ml.sampling.engine import sample
from ml.text.tokenizer import Tokenizer

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
# A limit cuts the tail off that is to be measured, and without one a model that never ends a post samples for ever.
_LONGEST: Final = 4


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of lengths. quantiles: at QUANTILES."""

    mean: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LengthGap:
    """Sampled against held-out lengths, in one unit.

    kolmogorov_smirnov: largest distance of the two cumulative distributions, 0 … 1. by_chance: what that distance
    stays under 95 times in 100 when both come from one distribution. wasserstein: mean distance in the same unit by
    which lengths would have to move to turn one distribution into the other.
    """

    sampled: Lengths
    held_out: Lengths
    kolmogorov_smirnov: float
    by_chance: float
    wasserstein: float


@dataclass(frozen=True, slots=True)
class LengthCalibration:
    """tokens: with `<eos>`, and of a prompt there is none; characters: as Python counts them."""

    sentences: int
    tokens: LengthGap
    characters: LengthGap


def length_calibration(
    model: LanguageModel, tokenizer: Tokenizer, posts: Sequence[str], *, n: int, seed: int
) -> LengthCalibration:
    """Sample n sentences at temperature 1 and compare their lengths with those of held-out posts.

    A sentence may be as long as four of the longest posts; what would be longer is drawn again, as are blank ones.

    Raises EvaluationError without posts or sentences, SamplingError when the model does not come to an end.
    """
    if not posts or n < 1:
        raise EvaluationError(f"{n} sentences and {len(posts)} posts: lengths are compared from 1 of each on.")
    characters = np.array([len(post) for post in posts])
    controls = Controls(temperature=1.0, max_characters=_LONGEST * int(characters.max()) + 1)
    said = sample(model, tokenizer, n=n, controls=controls, seed=seed)
    tokens = np.array([len(tokenizer.encode(post)) + 1 for post in posts])
    return LengthCalibration(
        sentences=n,
        tokens=length_gap(np.array([sentence.tokens for sentence in said]), tokens),
        characters=length_gap(np.array([len(sentence.text) for sentence in said]), characters),
    )


def length_gap(sampled: NDArray[np.int64], held_out: NDArray[np.int64]) -> LengthGap:
    """Compare two samples of lengths: [n] and [m], each at least one.

    Source: by_chance: Smirnov 1948, the asymptotic 5 % point 1.358 √((n + m) / nm).
    """
    n, m = len(sampled), len(held_out)
    places = np.unique(np.concatenate([sampled, held_out]))
    below = [np.searchsorted(np.sort(lengths), places, side="right") / len(lengths) for lengths in (sampled, held_out)]
    apart = np.abs(below[0] - below[1])
    return LengthGap(
        sampled=_lengths(sampled),
        held_out=_lengths(held_out),
        kolmogorov_smirnov=float(apart.max()),
        by_chance=min(1.0, 1.358 * math.sqrt((n + m) / (n * m))),
        wasserstein=float((apart[:-1] * np.diff(places)).sum()),
    )


def _lengths(values: NDArray[np.int64]) -> Lengths:
    return Lengths(float(values.mean()), tuple(float(value) for value in np.quantile(values, QUANTILES)))
