"""Speaker: a language model as the sampler steps it, in probabilities and not in logarithms.

The drawing of a token wants weights. Logarithms of [B, V] numbers, taken only to be undone, would cost more than the
network's own arithmetic; so what is served says probabilities from the start.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ml.errors import ArtifactError
from ml.language_model import FloatArray, LanguageModel, TokenArray
from ml.models.kneser_ney import KneserNey
from ml.models.mixture import Mixture, MixtureState
from ml.models.ngrams import NgramState
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.serving.quantized_recurrent import FILE_NAME, QuantizedRecurrent


class Speaker(Protocol):
    """P(next token | tokens before it), stepped in batches.

    A row's probabilities and state depend on that row alone, bit for bit, so that what is said does not depend on what
    else is in the batch.
    """

    @property
    def vocabulary_size(self) -> int:
        """V."""
        ...

    def initial_state(self, batch_size: int) -> Any:
        """As LanguageModel's."""
        ...

    def step(self, tokens: TokenArray, state: Any) -> tuple[FloatArray, Any]:
        """Read one token a row: [B] int64 → probabilities [B, V] float32 of the next, and the state after it.

        The probabilities are the caller's to overwrite.
        """
        ...

    def rest(self) -> None:
        """Give back memory that comes back by itself, page by page, when it speaks again. From any thread."""
        ...


class PlainSpeaker:
    """Any language model, by the exponential of what it says."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def vocabulary_size(self) -> int:
        return self._model.vocabulary_size

    def initial_state(self, batch_size: int) -> Any:
        return self._model.initial_state(batch_size)

    def step(self, tokens: TokenArray, state: Any) -> tuple[FloatArray, Any]:
        log_probs, state = self._model.step(tokens, state)
        return np.exp(log_probs), state

    def rest(self) -> None:
        """All of it is in use."""


class KneserNeySpeaker:
    """Kneser-Ney, which reckons in probabilities anyway."""

    def __init__(self, model: KneserNey) -> None:
        self._model = model

    @property
    def vocabulary_size(self) -> int:
        return self._model.vocabulary_size

    def initial_state(self, batch_size: int) -> NgramState:
        return self._model.initial_state(batch_size)

    def step(self, tokens: TokenArray, state: NgramState) -> tuple[FloatArray, NgramState]:
        return self._model.probabilities(tokens, state)

    def rest(self) -> None:
        self._model.let_go()


class MixtureSpeaker:
    """P(token) = Σ_m w_m P_m(token), as ml.models.mixture.Mixture."""

    def __init__(self, components: Sequence[Speaker], weights: Sequence[float]) -> None:
        """Raises ValueError where the components do not fit together."""
        if len(components) != len(weights) or len({part.vocabulary_size for part in components}) != 1:
            raise ValueError("its components do not fit together")
        self._components = tuple(components)
        self._weights = tuple(np.float32(weight) for weight in weights)

    @property
    def vocabulary_size(self) -> int:
        return self._components[0].vocabulary_size

    def initial_state(self, batch_size: int) -> MixtureState:
        return MixtureState(tuple(part.initial_state(batch_size) for part in self._components))

    def step(self, tokens: TokenArray, state: MixtureState) -> tuple[FloatArray, MixtureState]:
        mixed: FloatArray | None = None
        after = []
        for part, weight, before in zip(self._components, self._weights, state.states, strict=True):
            probabilities, read = part.step(tokens, before)
            after.append(read)
            probabilities *= weight
            mixed = probabilities if mixed is None else np.add(mixed, probabilities, out=mixed)
        if mixed is None:
            raise AssertionError("a mixture has components")
        return mixed, MixtureState(tuple(after))

    def rest(self) -> None:
        for part in self._components:
            part.rest()


def speaker_of(model: LanguageModel, directory: Path) -> Speaker:
    """The speaker of a model that lies in `directory`. Raises ArtifactError where its int8 step is damaged."""
    match model:
        case Mixture():
            parts = [speaker_of(part, directory / name) for name, part in model.components.items()]
            return MixtureSpeaker(parts, list(model.weights.values()))
        case RecurrentLanguageModel() if (directory / FILE_NAME).exists():
            quantized = QuantizedRecurrent.load(directory)
            if (quantized.vocabulary_size, quantized.eos) != (model.vocabulary_size, model.eos):
                raise ArtifactError(f"{directory / FILE_NAME} is the step of another network.")
            return quantized
        case KneserNey():
            return KneserNeySpeaker(model)
    return PlainSpeaker(model)
