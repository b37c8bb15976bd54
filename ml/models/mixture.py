"""Mixture: models of the same tokens, interpolated with weights that are fitted on held-out posts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.errors import CorpusTooSmall
from ml.language_model import FloatArray, State, StoredModel, TokenArray
from ml.models.components import check_name, described_model, load_component, save_component

Weights: TypeAlias = NDArray[np.float64]

FILE_NAME: Final = "mixture.json"
FORMAT: Final = 2
# The likelihood is concave in the weights, so that these steps come to its only maximum from anywhere. They grow small
# before they arrive where the models are much alike; a step costs a fraction of a millisecond.
_EM_STEPS: Final = 2000
_SETTLED: Final = 1e-8
_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class MixtureState:
    """The state of each component, all of the same B rows."""

    states: tuple[State, ...]

    def take(self, rows: TokenArray) -> Self:
        return type(self)(tuple(state.take(rows) for state in self.states))

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        columns = zip(*(state.states for state in states), strict=True)
        return cls(tuple(type(column[0]).join(column) for column in columns))


class Mixture:
    """P(token) = Σ_m w_m P_m(token), the weights the same at every place. Source: Jelinek & Mercer 1980."""

    def __init__(self, components: dict[str, StoredModel], weights: Weights) -> None:
        """components: by names that serve as folders' names; weights: [M], in that order. Raises ValueError."""
        for name in components:
            check_name(name)
        sizes = {model.vocabulary_size for model in components.values()}
        if len(sizes) != 1 or len(weights) != len(components):
            raise ValueError("its components do not fit together")
        if not np.all(np.isfinite(weights)) or np.any(weights < 0) or abs(weights.sum() - 1) > _TOLERANCE:
            raise ValueError("its weights are no distribution")
        self._components = dict(components)
        with np.errstate(divide="ignore"):  # the logarithm of weight 0 is -inf, which adds nothing
            self._log_weights = np.log(weights).astype(np.float32)
        self._weights = weights

    @classmethod
    def fit(cls, components: dict[str, StoredModel], tokens: TokenArray) -> Self:
        """Weights under which `tokens` ([T], held-out posts) are likeliest. Raises CorpusTooSmall for no tokens."""
        if len(tokens) == 0:
            raise CorpusTooSmall("There are no posts to fit the weights of a mixture on. Add more posts.")
        log_probs = np.stack([model.score(tokens) for model in components.values()])  # [M, T]
        return cls(components, best_weights(log_probs))

    @property
    def components(self) -> Mapping[str, StoredModel]:
        """The models by name."""
        return self._components

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each component."""
        return dict(zip(self._components, self._weights.tolist(), strict=True))

    @property
    def vocabulary_size(self) -> int:
        return next(iter(self._components.values())).vocabulary_size

    @property
    def parameters(self) -> int:
        """How many numbers all components store."""
        return sum(model.parameters for model in self._components.values())

    def initial_state(self, batch_size: int) -> MixtureState:
        return MixtureState(tuple(model.initial_state(batch_size) for model in self._components.values()))

    def step(self, tokens: TokenArray, state: MixtureState) -> tuple[FloatArray, MixtureState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        stepped = [
            model.step(tokens, part) for model, part in zip(self._components.values(), state.states, strict=True)
        ]
        mixed = self._mixed([log_probs for log_probs, _ in stepped])
        return mixed, MixtureState(tuple(after for _, after in stepped))

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        return self._mixed([model.score(tokens) for model in self._components.values()])

    def save(self, directory: Path) -> None:
        """Write `mixture.json`, and the components, each into the folder of its name."""
        directory.mkdir(parents=True, exist_ok=True)
        components = [
            {**save_component(model, directory, name), "weight": self.weights[name]}
            for name, model in self._components.items()
        ]
        (directory / FILE_NAME).write_text(json.dumps({"format": FORMAT, "components": components}, indent=2))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved mixture. Raises ArtifactError."""
        with described_model(directory / FILE_NAME, wanted_format=FORMAT) as described:
            parts = described["components"]
            components = {part["name"]: load_component(directory, part) for part in parts}
            return cls(components, np.array([float(part["weight"]) for part in parts]))

    def _mixed(self, log_probs: Sequence[FloatArray]) -> FloatArray:
        """log Σ_m w_m exp(l_m), elementwise."""
        mixed = log_probs[0] + self._log_weights[0]
        for other, log_weight in zip(log_probs[1:], self._log_weights[1:], strict=True):
            np.logaddexp(mixed, other + log_weight, out=mixed)
        result: FloatArray = mixed
        return result


def best_weights(log_probs: FloatArray) -> Weights:
    """Weights [M] that maximise Σ_t log Σ_m w_m p_m(t), by expectation maximisation. log_probs: [M, T], -inf allowed.

    Source: Jelinek & Mercer 1980.
    """
    highest = log_probs.max(axis=0)
    # What every model rules out is ruled out whatever the weights are.
    told = np.isfinite(highest)
    probabilities = np.exp((log_probs[:, told] - highest[told]).astype(np.float64))  # a factor a place changes nothing
    weights = np.full(len(log_probs), 1 / len(log_probs))
    for _ in range(_EM_STEPS if told.any() else 0):
        updated = weights * (probabilities @ (1 / (weights @ probabilities)))
        updated /= updated.sum()
        settled = np.abs(updated - weights).max() < _SETTLED
        weights = updated
        if settled:
            break
    return weights
