"""Maximum-likelihood n-grams: each word as often as the training text has it after the n-1 words before it.

    p(w | h) = c(hw) / c(h)

A word that never followed a context which was seen has probability 0 there, and `score` says -inf: an unsmoothed
model rules out what it has not counted, and its perplexity on a new text is mostly infinite. After a context that was
never seen the equation is 0/0; then the longest part of it that was seen is taken, in the end the words alone. So each
distribution sums to one, and a sampler can go on after any prompt.

Source: Jurafsky & Martin, Speech and Language Processing, §3.1; the shorter context: "backoff" in Stanford's CS224n,
lecture on language models.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml import mapped
from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray
from ml.models import ngrams
from ml.models.ngrams import UNSEEN, Ngrams, NgramState

FILE_NAME: Final = "maximum_likelihood.safetensors"
FORMAT: Final = "2"
TABLES: Final = frozenset({"words", "starts", "counts"})


class MaximumLikelihood:
    """Relative frequencies over V tokens. A state is passed in and returned."""

    def __init__(self, counted: Ngrams, counts: NDArray[np.int32], *, eos: int) -> None:
        """counts: [V + N] int32, how often each k-gram of k = 1 … n stands in the text, by id. Use `fit` or `load`.

        A context is continued as often as it stands there itself, so that the counts are all that has to be kept.
        """
        self._ngrams = counted
        self._counts = counts
        self._eos = eos
        unigrams = counts[: counted.vocabulary_size]
        self._unigram_log_probs = _log(unigrams / unigrams.sum(dtype=np.float64))

    @classmethod
    def fit(cls, tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> Self:
        """Count a training text: [T] int64, the posts one after the other, each closed by `eos`; order: n.

        Raises as `ngrams.count`.
        """
        counted = ngrams.count(tokens, order=order, vocabulary_size=vocabulary_size, eos=eos)
        return cls(counted.ngrams, counted.counts.astype(np.int32), eos=eos)

    @property
    def order(self) -> int:
        """n: a token is predicted from the n-1 before it."""
        return self._ngrams.order

    @property
    def vocabulary_size(self) -> int:
        return self._ngrams.vocabulary_size

    @property
    def parameters(self) -> int:
        """How many numbers are stored: counts of all n-grams; of those of two words and more the last word too, and, if
        others continue them, where those begin.
        """
        return sum(array.size for array in self._arrays().values())

    def initial_state(self, batch_size: int) -> NgramState:
        return ngrams.initial_state(batch_size, self._ngrams)

    def step(self, tokens: TokenArray, state: NgramState) -> tuple[FloatArray, NgramState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        state = ngrams.read(tokens, state, self._ngrams, eos=self._eos)
        contexts = np.full(len(tokens), UNSEEN, dtype=np.int64)  # the longest that was continued
        for longer in state.grams.T:
            contexts = np.where(self._ngrams.continued(longer) > 0, longer, contexts)
        log_probs = np.full((len(tokens), self.vocabulary_size), -np.inf, dtype=np.float32)
        log_probs[contexts == UNSEEN] = self._unigram_log_probs
        lengths, places = self._ngrams.continuations(contexts)
        rows = np.repeat(np.arange(len(tokens)), lengths)
        ids = places + self.vocabulary_size
        log_probs[rows, self._ngrams.words[places]] = _log(self._counts[ids] / self._counts[contexts[rows]])
        return log_probs, state

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32; -inf for what is ruled out."""
        log_probs: FloatArray = self._unigram_log_probs[tokens]
        for known, contexts, ids in ngrams.look_up(tokens, self._ngrams, eos=self._eos):
            log_probs[known[self._ngrams.continued(contexts) > 0]] = -np.inf
            seen = np.flatnonzero(ids >= 0)
            log_probs[known[seen]] = _log(self._counts[ids[seen]] / self._counts[contexts[seen]])
        return log_probs

    def save(self, directory: Path) -> None:
        """Write `maximum_likelihood.safetensors`: the n-grams and their counts."""
        directory.mkdir(parents=True, exist_ok=True)
        metadata = {"format": FORMAT, "order": str(self.order), "eos": str(self._eos)}
        mapped.write(self._arrays(), directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Map and check a saved model.

        Raises ArtifactError when the file is missing, broken, of another format, or its counts are those of no text.
        """
        path = directory / FILE_NAME
        metadata, arrays = ngrams.read_tables(path, TABLES, wanted_format=FORMAT)
        try:
            eos, order = int(metadata["eos"]), int(metadata["order"])
            return cls(_checked(arrays, order=order, eos=eos), arrays["counts"], eos=eos)
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}.") from error
        except ValueError as error:
            raise ArtifactError(f"{path} holds no model: {error}.") from error

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"words": self._ngrams.words, "starts": self._ngrams.starts, "counts": self._counts}


def _log(frequencies: NDArray[np.float64]) -> FloatArray:
    with np.errstate(divide="ignore"):  # log 0 is -inf, as it should
        return np.log(frequencies).astype(np.float32)


def _checked(arrays: Mapping[str, NDArray[Any]], *, order: int, eos: int) -> Ngrams:
    """The n-grams of a file. Raises ValueError where no text has these counts."""
    words, starts, counts = arrays["words"], arrays["starts"], arrays["counts"]
    vocabulary_size = counts.size - words.size
    if counts.dtype != np.int32 or counts.ndim != 1 or vocabulary_size < 1:
        raise ValueError(f"the counts are no list of int32 for {words.size} n-grams and their words")
    found = ngrams.checked(words, starts, vocabulary_size=vocabulary_size, order=order)
    if counts.min() < 0 or counts[vocabulary_size:].min(initial=1) < 1:
        raise ValueError("a word stands in the text less than no times, or an n-gram not once")
    if not 0 <= eos < vocabulary_size or counts[eos] == 0:
        raise ValueError(f"<eos> is {eos}, which ends no post")
    n_contexts = len(starts) - 1
    wanted = counts[:n_contexts].copy()
    wanted[vocabulary_size:][words[: max(0, n_contexts - vocabulary_size)] == eos] = 0  # there the post is over
    for contexts, sums in ngrams.sums_by_context(counts[vocabulary_size:], found, dtype=np.int64):
        if np.any(sums != wanted[contexts]):
            raise ValueError("the continuations of a context are not as many as the context")
    return found
