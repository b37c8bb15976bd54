"""Mixture: models of the same tokens, interpolated with weights that are fitted on held-out posts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.errors import ArtifactError
from ml.language_model import FloatArray, State, StoredModel, TokenArray
from ml.models.kneser_ney import KneserNey
from ml.models.recurrent_stepper import RecurrentLanguageModel

Weights: TypeAlias = NDArray[np.float64]

FILE_NAME: Final = "mixture.json"
# The likelihood is concave in the weights, so that these steps come to its only maximum from anywhere.
_EM_STEPS: Final = 200
_SETTLED: Final = 1e-6


COMPONENTS: Final[dict[str, type[StoredModel]]] = {
    "recurrent": RecurrentLanguageModel,
    "kneser-ney": KneserNey,
}


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
        """components: by their names in COMPONENTS; weights: [M], in that order. Raises ValueError."""
        sizes = {model.vocabulary_size for model in components.values()}
        if len(sizes) != 1 or len(weights) != len(components):
            raise ValueError("its components do not fit together")
        if not np.all(np.isfinite(weights)) or np.any(weights < 0) or abs(weights.sum() - 1) > _SETTLED:
            raise ValueError("its weights are no distribution")
        self._components = dict(components)
        self._log_weights = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
        self._weights = weights

    @classmethod
    def fit(cls, components: dict[str, StoredModel], tokens: TokenArray) -> Self:
        """Weights under which `tokens` ([T], held-out posts) are likeliest."""
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
        """Write the components and `mixture.json`, which names them."""
        directory.mkdir(parents=True, exist_ok=True)
        for model in self._components.values():
            model.save(directory)
        (directory / FILE_NAME).write_text(json.dumps({"weights": self.weights}, indent=2))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved mixture. Raises ArtifactError."""
        path = directory / FILE_NAME
        try:
            weights: dict[str, Any] = json.loads(path.read_text())["weights"]
            components = {name: COMPONENTS[name].load(directory) for name in weights}
            return cls(components, np.array([float(weight) for weight in weights.values()]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{path} holds no mixture: {error}.") from error

    def _mixed(self, log_probs: Sequence[FloatArray]) -> FloatArray:
        """log Σ_m w_m exp(l_m), elementwise."""
        mixed = log_probs[0] + np.float32(self._log_weights[0])
        for other, log_weight in zip(log_probs[1:], self._log_weights[1:], strict=True):
            np.logaddexp(mixed, other + np.float32(log_weight), out=mixed)
        result: FloatArray = mixed
        return result


def best_weights(log_probs: FloatArray) -> Weights:
    """Weights [M] that maximise Σ_t log Σ_m w_m p_m(t), by expectation maximisation. log_probs: [M, T]."""
    probabilities = np.exp(log_probs.astype(np.float64) - log_probs.max(axis=0))  # a factor a place changes nothing
    weights = np.full(len(log_probs), 1 / len(log_probs))
    for _ in range(_EM_STEPS):
        shares = weights[:, np.newaxis] * probabilities
        updated = (shares / shares.sum(axis=0)).mean(axis=1)
        settled = np.abs(updated - weights).max() < _SETTLED
        weights = updated / updated.sum()
        if settled:
            break
    return weights
