"""Unigram cache: whatever has been said lately is likelier to be said again. Goes around any language model.

    p(w) = (1 - λ n/N) p_model(w) + λ c(w)/N

c(w) is how often w is among the last N words, n how many words have been said if they are fewer than N. So a cache that
is not full yet has a share of the weight only, and a first sentence is not made of its own first word. Posts do not
close the cache: what one post was about, the next one may be, too. `<eos>` is not counted, as it says nothing of what
is being talked about: on the Penn Treebank this lowers perplexity a little, and no post ends early because the last one
did.

λ and N are those under which held-out posts are likeliest: λ by expectation maximisation, N from LENGTHS.

Source: Kuhn & De Mori 1990.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ml.errors import CorpusTooSmall
from ml.language_model import FloatArray, State, StoredModel, TokenArray
from ml.models.caching import NOTHING, best_share, check_cache, log, mix_in, mixed_score
from ml.models.components import described_model, load_component, save_component

FILE_NAME: Final = "unigram_cache.json"
FORMAT: Final = 1
LENGTHS: Final = (50, 100, 150, 200, 300, 500, 1000, 2000)


@dataclass(frozen=True, slots=True)
class UnigramCacheState:
    """model: the state of the model inside; recent: [B, W] int64, W <= N, the last words, -1 before the first."""

    model: State
    recent: TokenArray

    def take(self, rows: TokenArray) -> Self:
        return type(self)(self.model.take(rows), self.recent[rows])

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        width = max(state.recent.shape[1] for state in states)
        recent = [
            np.pad(state.recent, ((0, 0), (width - state.recent.shape[1], 0)), constant_values=NOTHING)
            for state in states
        ]
        inside = type(states[0].model).join([state.model for state in states])
        return cls(inside, np.concatenate(recent))


class UnigramCache:
    """A language model over V tokens with a memory of the last N of them."""

    def __init__(self, model: StoredModel, *, weight: float, length: int, eos: int) -> None:
        """weight: λ; length: N. Raises ValueError."""
        check_cache(weight=weight, length=length)
        if not 0 <= eos < model.vocabulary_size:
            raise ValueError(f"<eos> is {eos} in a vocabulary of {model.vocabulary_size}")
        self._model = model
        self.weight = weight
        self.length = length
        self._eos = eos

    @classmethod
    def fit(cls, model: StoredModel, tokens: TokenArray, *, eos: int) -> Self:
        """λ and N under which `tokens` ([T], held-out posts) are likeliest. Raises CorpusTooSmall for no tokens."""
        if len(tokens) == 0:
            raise CorpusTooSmall("There are no posts to fit a cache on. Add more posts.")
        log_probs = model.score(tokens)
        found = []
        for length in LENGTHS:
            likelihood, weight = best_share(log_probs, *_recently(tokens, length=length, eos=eos))
            found.append((likelihood, weight, length))
        _, weight, length = max(found)
        return cls(model, weight=weight, length=length, eos=eos)

    @property
    def model(self) -> StoredModel:
        """The model inside."""
        return self._model

    @property
    def vocabulary_size(self) -> int:
        return self._model.vocabulary_size

    @property
    def parameters(self) -> int:
        """How many numbers are stored: those of the model inside, λ and N."""
        return self._model.parameters + 2

    def initial_state(self, batch_size: int) -> UnigramCacheState:
        return UnigramCacheState(self._model.initial_state(batch_size), np.empty((batch_size, 0), dtype=np.int64))

    def step(self, tokens: TokenArray, state: UnigramCacheState) -> tuple[FloatArray, UnigramCacheState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        log_probs, after = self._model.step(tokens, state.model)
        recent = self._remember(tokens, state.recent)
        rows, columns = np.nonzero(recent != NOTHING)
        share = self.weight * (np.bincount(rows, minlength=len(tokens)) / self.length)  # [B] λ n/N
        each = np.full(len(rows), self.weight / self.length)
        return mix_in(log_probs, rows, recent[rows, columns], each, share=share), UnigramCacheState(after, recent)

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        cached, filled = _recently(tokens, length=self.length, eos=self._eos)
        return mixed_score(self._model.score(tokens), cached, filled, weight=self.weight)

    def save(self, directory: Path) -> None:
        """Write `unigram_cache.json`, and the model inside into the folder `model`."""
        directory.mkdir(parents=True, exist_ok=True)
        described = {
            "format": FORMAT,
            "weight": self.weight,
            "length": self.length,
            "eos": self._eos,
            "model": save_component(self._model, directory, "model"),
        }
        (directory / FILE_NAME).write_text(json.dumps(described, indent=2))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved model. Raises ArtifactError."""
        with described_model(directory / FILE_NAME, wanted_format=FORMAT) as described:
            return cls(
                load_component(directory, described["model"]),
                weight=float(described["weight"]),
                length=int(described["length"]),
                eos=int(described["eos"]),
            )

    def _remember(self, tokens: TokenArray, recent: TokenArray) -> TokenArray:
        """The last words with one more a row, but for `<eos>`: [B, W] → [B, W or W + 1]."""
        B = len(tokens)
        longer = np.concatenate([recent, tokens[:, np.newaxis]], axis=1)
        ended = tokens == self._eos
        longer[ended] = np.concatenate([np.full((B, 1), NOTHING), recent], axis=1)[ended]
        # No wider than the row that has said most.
        first = max(0, longer.shape[1] - self.length)
        said = np.flatnonzero((longer[:, first:] != NOTHING).any(axis=0))
        kept: TokenArray = longer[:, first + said[0] :] if len(said) else longer[:, :0]
        return kept


def _recently(tokens: TokenArray, *, length: int, eos: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log c(w)/n of each token before it is read, and n/N: two arrays [T], without a loop over tokens.

    The places at which a word stands are neighbours once they are sorted by word, then place: how often it stands
    between two places is the distance of two searches.
    """
    said = tokens != eos
    words = tokens[said]
    before = np.cumsum(said) - said  # [T] how many words came before
    stride = len(words) + 1
    standing = np.sort(words * stride + np.arange(len(words)))
    until = np.searchsorted(standing, tokens * stride + before)
    counts = until - np.searchsorted(standing, tokens * stride + np.maximum(before - length, 0))
    said_lately = np.minimum(before, length)
    return log(counts / np.maximum(said_lately, 1)), said_lately / length
