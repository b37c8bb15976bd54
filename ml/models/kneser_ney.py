"""Interpolated modified Kneser-Ney of any order, as sorted arrays: a LanguageModel learnt by counting.

    p(w | h) = max(c(hw) - D(c(hw)), 0) / Σ c(h·)  +  γ(h) · p(w | h without its first word)

c is how often the n-gram stands in the text for the longest n-grams, and in how many different contexts it stands
for shorter ones; γ(h) gives away what the discounts D took. The shortest distribution is mixed with the uniform one.

Where a post begins and ends: ml/models/ngrams.py. An n-gram that begins with a post has nothing before it to be
counted, so its own count is taken.

Source: Chen & Goodman 1999, §3; the start of a sentence as in SRILM (ngram-discount(7)) and KenLM (Heafield et al.
2013, §3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray
from ml.models import ngrams
from ml.models.ngrams import Ngrams, NgramState

FILE_NAME: Final = "kneser_ney.safetensors"
FORMAT: Final = "1"

# Where a corpus is too small to estimate discounts from (no n-gram with count 1, 2, 3 or 4, or an estimate that is not
# positive), these are taken for that order; they are what KenLM falls back to.
FALLBACK_DISCOUNTS: Final = (0.5, 1.0, 1.5)

_LITTLE: Final = 1e-30
_TOLERANCE: Final = 1e-3  # float32 sums of a context with some thousand continuations stay well below


@dataclass(frozen=True, slots=True)
class _Level:
    """The k-grams of one length k >= 2.

    discounted: [N] float32, (c - D(c)) / Σ c(h·). backoff: [N of k-1] float32, γ of each context.
    """

    ngrams: Ngrams
    discounted: FloatArray
    backoff: FloatArray


class KneserNey:
    """Modified Kneser-Ney over V tokens. Reads no clock, keeps no history: a state is passed in and returned."""

    def __init__(self, unigrams: FloatArray, levels: Sequence[_Level], *, eos: int) -> None:
        """unigrams: [V] float32 probabilities; levels: the k-grams of k = 2 … n. Use `fit` or `load`."""
        self._unigrams = unigrams
        self._levels = tuple(levels)
        self._ngrams = tuple(level.ngrams for level in levels)
        self._eos = eos

    @classmethod
    def fit(cls, tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> Self:
        """Count a training text.

        tokens: [T] int64, the posts one after the other, each closed by `eos`; order: n, the longest n-gram.

        Raises as `ngrams.count`.
        """
        raw, counted = ngrams.count(tokens, order=order, vocabulary_size=vocabulary_size, eos=eos)
        counts = _adjusted([raw, *(level.counts for level in counted)], [level.endings for level in counted])
        discounted, left_over = _discount(counts[0], np.zeros(vocabulary_size, dtype=np.int64), n_contexts=1)
        unigrams = (discounted + left_over / vocabulary_size).astype(np.float32)
        levels = []
        for level, shorter, count in zip(counted, counts[:-1], counts[1:], strict=True):
            discounted, backoff = _discount(count, level.ngrams.contexts, n_contexts=len(shorter))
            levels.append(_Level(level.ngrams, discounted.astype(np.float32), backoff.astype(np.float32)))
        return cls(unigrams, levels, eos=eos)

    @property
    def order(self) -> int:
        """n: a token is predicted from the n-1 before it."""
        return len(self._levels) + 1

    @property
    def vocabulary_size(self) -> int:
        return len(self._unigrams)

    @property
    def parameters(self) -> int:
        """How many numbers are stored: unigram probabilities; key, probability and backoff of the longer n-grams."""
        return len(self._unigrams) + sum(2 * len(level.ngrams) + len(level.backoff) for level in self._levels)

    def initial_state(self, batch_size: int) -> NgramState:
        return ngrams.initial_state(batch_size, self._ngrams)

    def step(self, tokens: TokenArray, state: NgramState) -> tuple[FloatArray, NgramState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        state = ngrams.read(tokens, state, self._ngrams, eos=self._eos)
        weights = np.ones(len(tokens))  # [B] what the longer contexts leave to the shorter ones
        found = []
        for level, contexts in zip(reversed(self._levels), reversed(state.grams.T), strict=True):
            rows = np.flatnonzero(contexts >= 0)
            found.append((level, rows, contexts[rows], weights[rows]))
            weights[rows] *= level.backoff[contexts[rows]]
        # Divided by what is left to the unigrams, they fit into float32, whose logarithm takes half the time; but not
        # where next to nothing is left.
        precision = np.float32 if weights.min(initial=1) > _LITTLE else np.float64
        probabilities = np.empty((len(tokens), self.vocabulary_size), dtype=precision)
        probabilities[:] = self._unigrams
        for level, rows, contexts, weight in found:
            lengths, entries = level.ngrams.continuations(contexts)
            places = np.repeat(rows * self.vocabulary_size, lengths) + level.ngrams.words[entries]
            # A word continues a context only once, so no place is added to twice.
            scale = (weight / weights[rows]).astype(precision)
            probabilities.ravel()[places] += np.repeat(scale, lengths) * level.discounted[entries]
        log_probs = np.log(probabilities, out=probabilities)
        log_probs += np.log(weights)[:, np.newaxis].astype(precision)
        return log_probs.astype(np.float32, copy=False), state

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        probabilities = self._unigrams[tokens].astype(np.float64)
        looked_up = ngrams.look_up(tokens, self._ngrams, eos=self._eos)
        for level, (known, contexts, ids) in zip(self._levels, looked_up, strict=True):
            seen = np.flatnonzero(ids >= 0)
            probabilities[known] *= level.backoff[contexts]
            probabilities[known[seen]] += level.discounted[ids[seen]]
        return np.log(probabilities).astype(np.float32)

    def save(self, directory: Path) -> None:
        """Write `kneser_ney.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[np.generic]] = {"unigrams": self._unigrams}
        for k, level in enumerate(self._levels, start=2):
            arrays |= {
                f"keys.{k}": level.ngrams.keys,
                f"discounted.{k}": level.discounted,
                f"backoff.{k}": level.backoff,
            }
        metadata = {"format": FORMAT, "order": str(self.order), "eos": str(self._eos)}
        save_file(arrays, directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved model.

        Raises ArtifactError when the file is missing, broken, of another format, or no distribution.
        """
        path = directory / FILE_NAME
        metadata, arrays = ngrams.read_tables(path, wanted_format=FORMAT)
        try:
            eos, unigrams = int(metadata["eos"]), arrays["unigrams"]
            _check_unigrams(unigrams, eos=eos)
            levels: list[_Level] = []
            n_contexts = len(unigrams)
            for k in range(2, ngrams.order_of(metadata, arrays, tables_a_level=3) + 1):
                keys, discounted, backoff = (arrays[f"{name}.{k}"] for name in ("keys", "discounted", "backoff"))
                _check_level(keys, discounted, backoff=backoff, n_contexts=n_contexts, vocabulary_size=len(unigrams))
                level = Ngrams.of(keys, n_contexts=n_contexts, vocabulary_size=len(unigrams))
                levels.append(_Level(level, discounted, backoff))
                n_contexts = len(keys)
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}.") from error
        except ValueError as error:
            raise ArtifactError(f"{path} holds no model: {error}.") from error
        return cls(unigrams, levels, eos=eos)


def discounts(counts: TokenArray) -> tuple[float, float, float]:
    """D(1), D(2) and D(3 or more), estimated from how many n-grams have count 1, 2, 3, 4.

    Source: Chen & Goodman 1999, §3; FALLBACK_DISCOUNTS where they cannot be worked out.
    """
    n1, n2, n3, n4 = (int(n) for n in np.bincount(np.minimum(counts, 5), minlength=5)[1:5])
    if not (n1 and n2 and n3 and n4):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    estimated = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return estimated if min(estimated) > 0 else FALLBACK_DISCOUNTS


def _adjusted(counts: Sequence[TokenArray], endings: Sequence[TokenArray]) -> list[TokenArray]:
    """What the equation calls c, of the k-grams of k = 1 … n: [N] int64 each.

    counts: how often each k-gram stands in the text; endings: of k = 2 … n, the (k-1)-gram with which each ends.
    """
    adjusted = []
    for own, longer in zip(counts[:-1], endings, strict=True):
        n_contexts = np.bincount(longer, minlength=len(own))
        adjusted.append(np.where(n_contexts > 0, n_contexts, own))  # 0: it begins the post
    return [*adjusted, counts[-1]]


def _discount(
    counts: TokenArray, contexts: TokenArray, *, n_contexts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Discounted relative frequencies [N] and what each context has left over [n_contexts] (1 where it is unknown).

    counts: [N] int64, c of each n-gram; contexts: [N] int64, which context each continues.
    """
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, weights=counts, minlength=n_contexts)
    left_over = np.ones(n_contexts)
    np.divide(np.bincount(contexts, weights=taken, minlength=n_contexts), totals, out=left_over, where=totals > 0)
    return (counts - taken) / totals[contexts], left_over


def _check_unigrams(unigrams: NDArray[Any], *, eos: int) -> None:
    _check_floats(unigrams, "unigrams", length=unigrams.size)
    if not 0 <= eos < len(unigrams):
        raise ValueError(f"<eos> is {eos} in a vocabulary of {len(unigrams)}")
    if unigrams.min() <= 0 or abs(float(unigrams.sum(dtype=np.float64)) - 1) > _TOLERANCE:
        raise ValueError("the unigrams are no distribution over the whole vocabulary")


def _check_level(
    keys: NDArray[Any], discounted: NDArray[Any], *, backoff: NDArray[Any], n_contexts: int, vocabulary_size: int
) -> None:
    ngrams.check_keys(keys, n_contexts=n_contexts, vocabulary_size=vocabulary_size)
    _check_floats(discounted, "discounted", length=len(keys))
    _check_floats(backoff, "backoff", length=n_contexts)
    sums = np.bincount(keys // vocabulary_size, weights=discounted, minlength=n_contexts) + backoff
    if np.any(np.abs(sums - 1) > _TOLERANCE) or np.any(backoff <= 0) or np.any(discounted < 0):
        raise ValueError("the continuations of a context and its backoff do not sum to one")


def _check_floats(array: NDArray[Any], name: str, *, length: int) -> None:
    if array.dtype != np.float32 or array.shape != (length,) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} is not {length} finite float32 numbers")
