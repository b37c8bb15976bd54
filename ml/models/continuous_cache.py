"""Continuous cache: what followed when a recurrent model was in a state like this one is likelier to follow again.

    p(w) = (1 - λ n/N) p_model(w) + λ n/N · Σ_i exp(θ h·h_i) [w_i = w] / Σ_i exp(θ h·h_i)

h are the model's outputs now, h_i those from which w_i was predicted, i over the last n <= N tokens. As in the unigram
cache, one that is not full yet has a share of the weight only. Posts do not close it, and `<eos>` is among the w_i: it
is predicted from a state like any other token.

θ, λ and N are those under which held-out posts are likeliest: λ by expectation maximisation for each θ of SHARPNESSES
and each N of LENGTHS.

Source: Grave, Joulin & Usunier 2016, with linear interpolation.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from ml.errors import CorpusTooSmall
from ml.language_model import FloatArray, TokenArray
from ml.models.caching import NOTHING, best_share, check_cache, log, mix_in, mixed_score
from ml.models.components import described_model, load_component, save_component
from ml.models.recurrent_stepper import RecurrentLanguageModel, RecurrentState

FILE_NAME: Final = "continuous_cache.json"
FORMAT: Final = 1
SHARPNESSES: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
LENGTHS: Final = (100, 500, 2000)
# Three numbers are fitted; more held-out text than this moves none of them.
FITTED_ON: Final = 30_000
# Places compared with their past at once: 128 × N likenesses stay in the cache of the processor.
_AT_ONCE: Final = 128

Booleans: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ContinuousCacheState:
    """What B rows remember.

    model: the state of the model inside; begun: [B], whether it has read anything, so that its outputs predict a token;
    words: [B, W] int64, W <= N, the last tokens, -1 before the first; outputs: [B, W, H] float32, from which each was
    predicted.
    """

    model: RecurrentState
    begun: Booleans
    words: TokenArray
    outputs: FloatArray

    def take(self, rows: TokenArray) -> Self:
        return type(self)(self.model.take(rows), self.begun[rows], self.words[rows], self.outputs[rows])

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        width = max(state.words.shape[1] for state in states)
        words, outputs = [], []
        for state in states:
            before = (width - state.words.shape[1], 0)
            words.append(np.pad(state.words, ((0, 0), before), constant_values=NOTHING))
            outputs.append(np.pad(state.outputs, ((0, 0), before, (0, 0))))
        return cls(
            RecurrentState.join([state.model for state in states]),
            np.concatenate([state.begun for state in states]),
            np.concatenate(words),
            np.concatenate(outputs),
        )


class ContinuousCache:
    """A recurrent language model with a memory of the last N tokens and of the states before them."""

    def __init__(self, model: RecurrentLanguageModel, *, weight: float, sharpness: float, length: int) -> None:
        """weight: λ; sharpness: θ; length: N. Raises ValueError."""
        check_cache(weight=weight, length=length)
        if not 0 <= sharpness <= 1000:
            raise ValueError(f"the sharpness of the cache is {sharpness}; it has to be 0 to 1000")
        self._model = model
        self.weight = weight
        self.sharpness = sharpness
        self.length = length

    @classmethod
    def fit(cls, model: RecurrentLanguageModel, tokens: TokenArray) -> Self:
        """λ, θ and N under which `tokens` ([T], held-out posts) are likeliest. Raises CorpusTooSmall for no tokens."""
        if len(tokens) == 0:
            raise CorpusTooSmall("There are no posts to fit a cache on. Add more posts.")
        tokens = tokens[:FITTED_ON]
        outputs = model.read(tokens)
        own = _score(model, outputs, tokens)
        settings = list(product(SHARPNESSES, LENGTHS))
        found = []
        for (sharpness, length), cached in zip(settings, _cached(outputs, tokens, settings), strict=True):
            likelihood, weight = best_share(own, cached, _filled(len(tokens), length))
            found.append((likelihood, weight, sharpness, length))
        _, weight, sharpness, length = max(found)
        return cls(model, weight=weight, sharpness=sharpness, length=length)

    @property
    def model(self) -> RecurrentLanguageModel:
        """The model inside."""
        return self._model

    @property
    def vocabulary_size(self) -> int:
        return self._model.vocabulary_size

    @property
    def parameters(self) -> int:
        """How many numbers are stored: those of the model inside, λ, θ and N."""
        return self._model.parameters + 3

    def initial_state(self, batch_size: int) -> ContinuousCacheState:
        return ContinuousCacheState(
            self._model.initial_state(batch_size),
            begun=np.zeros(batch_size, dtype=bool),
            words=np.empty((batch_size, 0), dtype=np.int64),
            outputs=np.empty((batch_size, 0, self._model.hidden_size), dtype=np.float32),
        )

    def step(self, tokens: TokenArray, state: ContinuousCacheState) -> tuple[FloatArray, ContinuousCacheState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        log_probs, after = self._model.step(tokens, state.model)
        words, outputs = self._remember(tokens, state)
        state = ContinuousCacheState(after, np.ones(len(tokens), dtype=bool), words, outputs)
        if not words.shape[1]:
            return log_probs, state
        likeness = self.sharpness * (outputs @ after.outputs[:, :, np.newaxis])[:, :, 0]  # [B, W]
        likeness[words == NOTHING] = -np.inf
        highest = likeness.max(axis=1, keepdims=True)
        weights = np.exp(likeness - np.where(np.isfinite(highest), highest, 0))
        rows, columns = np.nonzero(words != NOTHING)
        share = self.weight * (np.bincount(rows, minlength=len(tokens)) / self.length)  # [B] λ n/N
        total = np.bincount(rows, weights=weights[rows, columns], minlength=len(tokens))
        probabilities = weights[rows, columns] * (share / np.maximum(total, np.finfo(np.float32).tiny))[rows]
        return mix_in(log_probs, rows, words[rows, columns], probabilities, share=share), state

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        outputs = self._model.read(tokens)
        (cached,) = _cached(outputs, tokens, [(self.sharpness, self.length)])
        own = _score(self._model, outputs, tokens)
        return mixed_score(own, cached, _filled(len(tokens), self.length), weight=self.weight)

    def save(self, directory: Path) -> None:
        """Write `continuous_cache.json`, and the model inside into the folder `model`."""
        directory.mkdir(parents=True, exist_ok=True)
        described = {
            "format": FORMAT,
            "weight": self.weight,
            "sharpness": self.sharpness,
            "length": self.length,
            "model": save_component(self._model, directory, "model"),
        }
        (directory / FILE_NAME).write_text(json.dumps(described, indent=2))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved model. Raises ArtifactError."""
        with described_model(directory / FILE_NAME, wanted_format=FORMAT) as described:
            model = load_component(directory, described["model"])
            if not isinstance(model, RecurrentLanguageModel):
                raise TypeError("the model inside is not recurrent")
            return cls(
                model,
                weight=float(described["weight"]),
                sharpness=float(described["sharpness"]),
                length=int(described["length"]),
            )

    def _remember(self, tokens: TokenArray, state: ContinuousCacheState) -> tuple[TokenArray, FloatArray]:
        """The last tokens and the outputs before them, with one more where one was predicted."""
        begun = state.begun[:, np.newaxis]
        words = np.concatenate([state.words, np.where(begun, tokens[:, np.newaxis], NOTHING)], axis=1)
        outputs = np.concatenate([state.outputs, state.model.outputs[:, np.newaxis]], axis=1)
        kept = min(self.length, int((words != NOTHING).any(axis=0).sum()))
        first = words.shape[1] - kept
        return words[:, first:], outputs[:, first:]


def _score(model: RecurrentLanguageModel, outputs: FloatArray, tokens: TokenArray) -> FloatArray:
    """What the model alone gives each token: [T, H], [T] → [T]."""
    scored = np.empty(len(tokens), dtype=np.float32)
    for start in range(0, len(tokens), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        log_probs = model.log_probabilities(outputs[block])
        scored[block] = np.take_along_axis(log_probs, tokens[block, np.newaxis], axis=1)[:, 0]
    return scored


def _cached(outputs: FloatArray, tokens: TokenArray, settings: Sequence[tuple[float, int]]) -> FloatArray:
    """What the cache alone gives each token, for each (θ, N): [S, T]; -inf where it is empty."""
    longest = max(length for _, length in settings)
    log_probs = np.full((len(settings), len(tokens)), -np.inf, dtype=np.float32)
    for block, likeness, words in _past(outputs, tokens, length=longest):
        empty = words == NOTHING
        same = (words == tokens[block, np.newaxis]).astype(np.float32)
        for number, (sharpness, length) in enumerate(settings):
            weights = sharpness * likeness[:, longest - length :]
            if block.start < length:
                weights[empty[:, longest - length :]] = -np.inf
            highest = weights.max(axis=1, keepdims=True)
            weights -= np.where(np.isfinite(highest), highest, 0)
            np.exp(weights, out=weights)
            total = np.maximum(weights.sum(axis=1), np.finfo(np.float32).tiny)
            hits = np.einsum("tn,tn->t", weights, same[:, longest - length :])
            log_probs[number, block] = log(hits / total)
    return log_probs


def _past(outputs: FloatArray, tokens: TokenArray, *, length: int) -> Iterator[tuple[slice, FloatArray, TokenArray]]:
    """Places of the stream, some at once, each with its last N tokens, oldest first.

    Yields which places, h·h_i [n, N] float32, and w_i [n, N] int64, -1 before the start of the stream.
    """
    padded = np.concatenate([np.zeros((length, outputs.shape[1]), dtype=np.float32), outputs])
    words = sliding_window_view(np.concatenate([np.full(length, NOTHING), tokens]), length)
    for start in range(0, len(tokens), _AT_ONCE):
        block = slice(start, min(start + _AT_ONCE, len(tokens)))
        products = outputs[block] @ padded[block.start : block.stop + length].T  # [n, n + N]
        n, width = products.shape
        # Place t is compared with t-N … t-1: row by row, one place further to the right.
        likeness = as_strided(products, (n, length), ((width + 1) * products.itemsize, products.itemsize))
        yield block, likeness, words[block]


def _filled(n_tokens: int, length: int) -> NDArray[np.float64]:
    """n/N at each place of a stream: [T]."""
    return np.minimum(np.arange(n_tokens), length) / length
