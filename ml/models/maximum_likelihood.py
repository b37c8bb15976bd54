"""Maximum-likelihood n-grams: each word as often as the training text has it after the n-1 words before it.

    p(w | h) = c(hw) / c(h)

A word that never followed a context which was seen has probability 0 there, and `score` says -inf: an unsmoothed
model rules out what it has not counted, and its perplexity on a new text is mostly infinite. After a context that was
never seen the equation is 0/0; then the longest part of it that was seen is taken, in the end the words alone. So each
distribution sums to one, and a sampler can go on after any prompt.

Source: Jurafsky & Martin, Speech and Language Processing, §3.1; the shorter context: "backoff" in Stanford's CS224n,
lecture on language models.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray
from ml.models import ngrams
from ml.models.ngrams import Ngrams, NgramState

FILE_NAME: Final = "maximum_likelihood.safetensors"
FORMAT: Final = "1"


class MaximumLikelihood:
    """Relative frequencies over V tokens. A state is passed in and returned."""

    def __init__(
        self, unigrams: TokenArray, levels: Sequence[Ngrams], counts: Sequence[TokenArray], *, eos: int
    ) -> None:
        """unigrams: [V] int64 counts; levels, counts: the k-grams of k = 2 … n. Use `fit` or `load`."""
        self._unigrams = unigrams
        self._levels = tuple(levels)
        self._counts = tuple(counts)
        self._eos = eos
        with np.errstate(divide="ignore"):  # log 0 is -inf, as it should
            self._unigram_log_probs = np.log(unigrams / unigrams.sum(dtype=np.float64)).astype(np.float32)
        self._log_probs = tuple(
            np.log(count / np.bincount(level.contexts, weights=count)[level.contexts]).astype(np.float32)
            for level, count in zip(self._levels, self._counts, strict=True)
        )

    @classmethod
    def fit(cls, tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> Self:
        """Count a training text: [T] int64, the posts one after the other, each closed by `eos`; order: n.

        Raises as `ngrams.count`.
        """
        unigrams, counted = ngrams.count(tokens, order=order, vocabulary_size=vocabulary_size, eos=eos)
        return cls(unigrams, [level.ngrams for level in counted], [level.counts for level in counted], eos=eos)

    @property
    def order(self) -> int:
        """n: a token is predicted from the n-1 before it."""
        return len(self._levels) + 1

    @property
    def vocabulary_size(self) -> int:
        return len(self._unigrams)

    @property
    def parameters(self) -> int:
        """How many numbers are stored: unigram counts; key and count of the longer n-grams."""
        return len(self._unigrams) + sum(2 * len(level) for level in self._levels)

    def initial_state(self, batch_size: int) -> NgramState:
        return ngrams.initial_state(batch_size, self._levels)

    def step(self, tokens: TokenArray, state: NgramState) -> tuple[FloatArray, NgramState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        state = ngrams.read(tokens, state, self._levels, eos=self._eos)
        log_probs = np.full((len(tokens), self.vocabulary_size), -np.inf, dtype=np.float32)
        waiting = np.ones(len(tokens), dtype=bool)  # for a context that was seen, the longest first
        for level, values, contexts in zip(
            reversed(self._levels), reversed(self._log_probs), reversed(state.grams.T), strict=True
        ):
            rows = np.flatnonzero(waiting & (contexts >= 0))
            lengths, entries = level.continuations(contexts[rows])
            log_probs[np.repeat(rows, lengths), level.words[entries]] = values[entries]
            waiting[rows[lengths > 0]] = False
        log_probs[waiting] = self._unigram_log_probs
        return log_probs, state

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32; -inf for what is ruled out."""
        log_probs: FloatArray = self._unigram_log_probs[tokens]
        looked_up = ngrams.look_up(tokens, self._levels, eos=self._eos)
        for level, values, (known, contexts, ids) in zip(self._levels, self._log_probs, looked_up, strict=True):
            log_probs[known[level.starts[contexts + 1] > level.starts[contexts]]] = -np.inf
            seen = np.flatnonzero(ids >= 0)
            log_probs[known[seen]] = values[ids[seen]]
        return log_probs

    def save(self, directory: Path) -> None:
        """Write `maximum_likelihood.safetensors`: the counts."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[np.generic]] = {"unigrams": self._unigrams}
        for k, (level, counts) in enumerate(zip(self._levels, self._counts, strict=True), start=2):
            arrays |= {f"keys.{k}": level.keys, f"counts.{k}": counts}
        metadata = {"format": FORMAT, "order": str(self.order), "eos": str(self._eos)}
        save_file(arrays, directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved model.

        Raises ArtifactError when the file is missing, broken, of another format, or its counts are those of no text.
        """
        path = directory / FILE_NAME
        metadata, arrays = ngrams.read_tables(path, wanted_format=FORMAT)
        try:
            eos, unigrams = int(metadata["eos"]), arrays["unigrams"]
            _check_unigrams(unigrams, eos=eos)
            levels: list[Ngrams] = []
            counts = []
            wanted = unigrams  # how often each context is continued: as often as it stands in the text
            for k in range(2, ngrams.order_of(metadata, arrays, tables_a_level=2) + 1):
                keys, count = arrays[f"keys.{k}"], arrays[f"counts.{k}"]
                ngrams.check_keys(keys, n_contexts=len(wanted), vocabulary_size=len(unigrams))
                levels.append(Ngrams.of(keys, n_contexts=len(wanted), vocabulary_size=len(unigrams)))
                _check_counts(count, levels[-1], wanted=wanted)
                counts.append(count)
                wanted = np.where(levels[-1].words == eos, 0, count)
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}.") from error
        except ValueError as error:
            raise ArtifactError(f"{path} holds no model: {error}.") from error
        return cls(unigrams, levels, counts, eos=eos)


def _check_unigrams(unigrams: NDArray[Any], *, eos: int) -> None:
    if unigrams.dtype != np.int64 or unigrams.ndim != 1 or np.any(unigrams < 0):
        raise ValueError("the unigrams are no counts")
    if not 0 <= eos < len(unigrams) or unigrams[eos] == 0:
        raise ValueError(f"<eos> is {eos}, which ends no post")


def _check_counts(counts: NDArray[Any], level: Ngrams, *, wanted: TokenArray) -> None:
    if counts.dtype != np.int64 or counts.shape != (len(level),) or np.any(counts < 1):
        raise ValueError(f"the counts are not {len(level)} whole numbers above 0")
    if np.any(np.bincount(level.contexts, weights=counts, minlength=len(wanted)) != wanted):
        raise ValueError("the continuations of a context are not as many as the context")
