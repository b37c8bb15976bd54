"""Interpolated modified Kneser-Ney of any order, as sorted arrays: a LanguageModel learnt by counting.

    p(w | h) = max(c(hw) - D(c(hw)), 0) / Σ c(h·)  +  γ(h) · p(w | h without its first word)

c is how often the n-gram stands in the text for the longest n-grams, and in how many different contexts it stands
for shorter ones; γ(h) gives away what the discounts D took. The shortest distribution is mixed with the uniform one.

Where a post begins and ends: ml/models/ngrams.py. An n-gram that begins with a post has nothing before it to be
counted, so its own count is taken.

Source: Chen & Goodman 1999, §3; the start of a sentence as in SRILM (ngram-discount(7)) and KenLM (Heafield et al.
2013, §3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml import mapped
from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray
from ml.models import ngrams
from ml.models.ngrams import Counted, Ngrams, NgramState

FILE_NAME: Final = "kneser_ney.safetensors"
FORMAT: Final = "2"
TABLES: Final = frozenset({"unigrams", "words", "starts", "discounted", "backoff"})

# Where a corpus is too small to estimate discounts from (no n-gram with count 1, 2, 3 or 4, or an estimate that is not
# positive), these are taken for that order; they are what KenLM falls back to.
FALLBACK_DISCOUNTS: Final = (0.5, 1.0, 1.5)

# What longer contexts leave to shorter ones; with less of it a probability may lie below what float32 can hold.
_LITTLE: Final = 1e-25
_TOLERANCE: Final = 1e-3  # float32 sums of a context with some thousand continuations stay well below


@dataclass(frozen=True, slots=True)
class Tables:
    """What is stored of a model, in memory as in its file: [V], [N], [C] as in `Ngrams`.

    unigrams: [V] float32, probabilities. discounted: [N] float32, (c - D(c)) / Σ c(h·). backoff: [C] float32, γ of each
    context, 1 where nothing continues it.
    """

    unigrams: FloatArray
    ngrams: Ngrams
    discounted: FloatArray
    backoff: FloatArray


class KneserNey:
    """Modified Kneser-Ney over V tokens. Reads no clock, keeps no history: a state is passed in and returned."""

    def __init__(self, tables: Tables, *, eos: int) -> None:
        """Use `fit` or `load`."""
        self.tables = tables
        self._ngrams = tables.ngrams
        self._eos = eos

    @classmethod
    def fit(cls, tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> Self:
        """Count a training text.

        tokens: [T] int64, the posts one after the other, each closed by `eos`; order: n, the longest n-gram.

        Raises as `ngrams.count`.
        """
        V = vocabulary_size
        counted = ngrams.count(tokens, order=order, vocabulary_size=V, eos=eos)
        counts, found = _adjusted(counted), counted.ngrams
        discounted, left_over = _discount(counts[:V], np.zeros(V, dtype=np.int64), n_contexts=1)
        unigrams = (discounted + left_over / V).astype(np.float32)
        tables = Tables(unigrams, found, discounted=_empty(len(found)), backoff=_empty(len(found.starts) - 1))
        for shorter, own in pairwise(found.levels):
            contexts, n_contexts = found.contexts(shorter), shorter.stop - shorter.start
            places = slice(own.start - V, own.stop - V)
            tables.discounted[places], tables.backoff[shorter] = _discount(counts[own], contexts, n_contexts=n_contexts)
        return cls(tables, eos=eos)

    @property
    def order(self) -> int:
        """n: a token is predicted from the n-1 before it."""
        return self._ngrams.order

    @property
    def vocabulary_size(self) -> int:
        return len(self.tables.unigrams)

    @property
    def parameters(self) -> int:
        """How many numbers are stored: probabilities of the words; of longer n-grams word, probability and, if others
        continue it, backoff and where those begin.
        """
        return sum(array.size for array in self._arrays().values())

    def initial_state(self, batch_size: int) -> NgramState:
        return ngrams.initial_state(batch_size, self._ngrams)

    def step(self, tokens: TokenArray, state: NgramState) -> tuple[FloatArray, NgramState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        state = ngrams.read(tokens, state, self._ngrams, eos=self._eos)
        shares = self._shares(state)
        # The logarithm of float32 takes half the time.
        precision = np.float32 if shares.min(initial=1) > _LITTLE else np.float64
        probabilities = self._interpolated(state, shares.astype(precision))
        log_probs = np.log(probabilities, out=probabilities)
        return log_probs.astype(np.float32, copy=False), state

    def probabilities(self, tokens: TokenArray, state: NgramState) -> tuple[FloatArray, NgramState]:
        """As `step`, but the probabilities themselves: [B, V] float32, which the caller may write over.

        One too small for float32 is 0; the logarithm that `step` gives is finite.
        """
        state = ngrams.read(tokens, state, self._ngrams, eos=self._eos)
        return self._interpolated(state, self._shares(state).astype(np.float32)), state

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        tables, V = self.tables, self.vocabulary_size
        probabilities = tables.unigrams[tokens].astype(np.float64)
        for known, contexts, ids in ngrams.look_up(tokens, self._ngrams, eos=self._eos):
            seen = np.flatnonzero(ids >= 0)
            probabilities[known] *= tables.backoff[contexts]
            probabilities[known[seen]] += tables.discounted[ids[seen] - V]
        return np.log(probabilities).astype(np.float32)

    def save(self, directory: Path) -> None:
        """Write `kneser_ney.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        metadata = {"format": FORMAT, "order": str(self.order), "eos": str(self._eos)}
        mapped.write(self._arrays(), directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Map and check a saved model.

        Raises ArtifactError when the file is missing, broken, of another format, or no distribution.
        """
        path = directory / FILE_NAME
        metadata, arrays = ngrams.read_tables(path, TABLES, wanted_format=FORMAT)
        try:
            eos, order = int(metadata["eos"]), int(metadata["order"])
            model = cls(_checked(arrays, order=order, eos=eos), eos=eos)
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}.") from error
        except ValueError as error:
            raise ArtifactError(f"{path} holds no model: {error}.") from error
        # The checks have read every page, and a sentence reads few of them.
        model.let_go()
        return model

    def let_go(self) -> None:
        """Give back the memory of tables that are mapped from a file; what is needed comes back."""
        mapped.let_go(self._arrays().values())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        tables = self.tables
        return {
            "unigrams": tables.unigrams,
            "words": tables.ngrams.words,
            "starts": tables.ngrams.starts,
            "discounted": tables.discounted,
            "backoff": tables.backoff,
        }

    def _shares(self, state: NgramState) -> NDArray[np.float64]:
        """What the longer contexts of a row leave to k-grams of each k = 1 … n: [B, n]; the last column is 1."""
        kept = np.where(state.grams >= 0, self.tables.backoff.take(state.grams), 1)
        shares = np.ones((len(kept), self.order))
        np.multiply.accumulate(kept[:, ::-1], axis=1, out=shares[:, -2::-1])
        return shares

    def _interpolated(self, state: NgramState, shares: NDArray[Any]) -> NDArray[Any]:
        """The distribution after a state, in the type of `shares`: [B, V]."""
        B, V = len(state.grams), self.vocabulary_size
        probabilities = shares[:, :1] * self.tables.unigrams
        lengths, places = self._ngrams.continuations(state.grams.ravel())
        cells = np.arange(0, B * V, V).repeat(lengths.reshape(B, -1).sum(axis=1))
        cells += self._ngrams.words.take(places)
        gained = shares[:, 1:].ravel().repeat(lengths)
        gained *= self.tables.discounted.take(places)
        # A word may continue contexts of several lengths: `+=` would add only one of them.
        np.add.at(probabilities.reshape(-1), cells, gained)
        return probabilities


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


def _empty(length: int) -> FloatArray:
    return np.empty(length, dtype=np.float32)


def _adjusted(counted: Counted) -> TokenArray:
    """What the equation calls c, of the k-grams of k = 1 … n: [V + N] int64."""
    n_contexts = np.bincount(counted.endings, minlength=len(counted.counts))
    # 0: it begins the post, or it is one of the longest.
    return np.where(n_contexts > 0, n_contexts, counted.counts)


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


def _checked(arrays: Mapping[str, NDArray[Any]], *, order: int, eos: int) -> Tables:
    """Raises ValueError for what is no model."""
    unigrams, discounted, backoff = arrays["unigrams"], arrays["discounted"], arrays["backoff"]
    _check_unigrams(unigrams, eos=eos)
    found = ngrams.checked(arrays["words"], arrays["starts"], vocabulary_size=len(unigrams), order=order)
    _check_floats(discounted, "discounted", length=len(found))
    _check_floats(backoff, "backoff", length=len(found.starts) - 1)
    if backoff.min(initial=1) <= 0 or discounted.min(initial=0) < 0:
        raise ValueError("a backoff is not above 0, or a probability below")
    for contexts, sums in ngrams.sums_by_context(discounted, found, dtype=np.float64):
        if np.abs(sums + backoff[contexts] - 1).max() > _TOLERANCE:
            raise ValueError("the continuations of a context and its backoff do not sum to one")
    return Tables(unigrams, found, discounted=discounted, backoff=backoff)


def _check_unigrams(unigrams: NDArray[Any], *, eos: int) -> None:
    _check_floats(unigrams, "unigrams", length=unigrams.size)
    if not 0 <= eos < len(unigrams):
        raise ValueError(f"<eos> is {eos} in a vocabulary of {len(unigrams)}")
    if unigrams.min() <= 0 or abs(float(unigrams.sum(dtype=np.float64)) - 1) > _TOLERANCE:
        raise ValueError("the unigrams are no distribution over the whole vocabulary")


def _check_floats(array: NDArray[Any], name: str, *, length: int) -> None:
    if array.dtype != np.float32 or array.shape != (length,) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} is not {length} finite float32 numbers")
