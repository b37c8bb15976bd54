"""RecurrentLanguageModel: a trained recurrent network as a LanguageModel, in numpy alone: serving needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray

FILE_NAME: Final = "recurrent.safetensors"
FORMAT: Final = "1"
# Hidden states that are turned into distributions at once while scoring: 256 × V float32 stay in the cache.
_SCORED_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class RecurrentState:
    """hidden: [L, B, H] float32; memory: the same for cells that have one, else [L, B, 0]."""

    hidden: FloatArray
    memory: FloatArray

    def take(self, rows: TokenArray) -> Self:
        return type(self)(self.hidden[:, rows], self.memory[:, rows])

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        return cls(
            np.concatenate([state.hidden for state in states], axis=1),
            np.concatenate([state.memory for state in states], axis=1),
        )


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of one cell, transposed and contiguous: input [E, G·H], recurrent [H, G·H], bias [G·H]."""

    input: FloatArray
    recurrent: FloatArray
    bias: FloatArray


class RecurrentLanguageModel:
    """Elman or LSTM layers over V tokens; the equations are those of ml/models/cells.py."""

    def __init__(self, arrays: Mapping[str, FloatArray], *, cell: str, eos: int) -> None:
        """arrays: as RecurrentNetwork.arrays names them. Raises ValueError where they do not fit together."""
        self._arrays = dict(arrays)
        self._cell = cell
        self._eos = eos
        self._embedding = arrays["embedding"]  # [V, E]
        self._layers = [_layer(arrays, number) for number in range(_count_layers(arrays))]
        self._projection = np.ascontiguousarray(arrays["projection"].T) if "projection" in arrays else None  # [H, E]
        self._output = np.ascontiguousarray(arrays.get("output", self._embedding).T)  # [E or H, V]
        self._output_bias = arrays["output_bias"]  # [V]
        self._hidden_size = self._layers[0].recurrent.shape[0]
        _check_shapes(self)

    @property
    def vocabulary_size(self) -> int:
        return len(self._embedding)

    @property
    def parameters(self) -> int:
        """How many numbers are stored."""
        return sum(array.size for array in self._arrays.values())

    def initial_state(self, batch_size: int) -> RecurrentState:
        shape = (len(self._layers), batch_size, self._hidden_size)
        memory = shape if self._cell == "lstm" else (*shape[:2], 0)
        return RecurrentState(np.zeros(shape, dtype=np.float32), np.zeros(memory, dtype=np.float32))

    def step(self, tokens: TokenArray, state: RecurrentState) -> tuple[FloatArray, RecurrentState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        x = self._embedding[tokens]
        hidden, memory = np.empty_like(state.hidden), np.empty_like(state.memory)
        for number, layer in enumerate(self._layers):
            x, memory[number] = self._read(
                x @ layer.input + layer.bias, layer, state.hidden[number], state.memory[number]
            )
            hidden[number] = x
        return self._log_probabilities(x), RecurrentState(hidden, memory)

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        read = np.concatenate(([self._eos], tokens[:-1]))[: len(tokens)]
        x = self._embedding[read]  # [T, E]
        for layer in self._layers:
            x = self._read_stream(x @ layer.input + layer.bias, layer)  # [T, H]
        scored = np.empty(len(tokens), dtype=np.float32)
        for start in range(0, len(tokens), _SCORED_AT_ONCE):
            block = slice(start, start + _SCORED_AT_ONCE)
            log_probs = self._log_probabilities(x[block])
            scored[block] = np.take_along_axis(log_probs, tokens[block, np.newaxis], axis=1)[:, 0]
        return scored

    def save(self, directory: Path) -> None:
        """Write `recurrent.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(array) for name, array in self._arrays.items()}
        metadata = {"format": FORMAT, "cell": self._cell, "eos": str(self._eos)}
        save_file(arrays, directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved model. Raises ArtifactError when it is missing, broken or of another format."""
        path = directory / FILE_NAME
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
            if metadata.get("format") != FORMAT:
                raise ArtifactError(f"{path} has format {metadata.get('format')!r}; this version reads {FORMAT!r}.")
            return cls(arrays, cell=metadata["cell"], eos=int(metadata["eos"]))
        except (OSError, SafetensorError, KeyError, ValueError, IndexError) as error:
            raise ArtifactError(f"{path} holds no recurrent model: {error}.") from error

    def _read_stream(self, driven: FloatArray, layer: _Layer) -> FloatArray:
        """One layer over a stream from the initial state: inputs' share [T, G·H] → hidden states [T, H]."""
        h = np.zeros((1, self._hidden_size), dtype=np.float32)
        c = np.zeros((1, self._hidden_size if self._cell == "lstm" else 0), dtype=np.float32)
        outputs = np.empty((len(driven), self._hidden_size), dtype=np.float32)
        for t in range(len(driven)):
            h, c = self._read(driven[t : t + 1], layer, h, c)
            outputs[t] = h[0]
        return outputs

    def _read(self, driven: FloatArray, layer: _Layer, h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        """One cell, one step: the inputs' share [B, G·H] and the state [B, H] before → the state after."""
        gates = driven + h @ layer.recurrent
        if self._cell == "elman":
            return _sigmoid(gates), c
        H = self._hidden_size
        i, f, o = _sigmoid(gates[:, :H]), _sigmoid(gates[:, H : 2 * H]), _sigmoid(gates[:, 3 * H :])
        c = f * c + i * np.tanh(gates[:, 2 * H : 3 * H])
        return o * np.tanh(c), c

    def _log_probabilities(self, hidden: FloatArray) -> FloatArray:
        """[B, H] → [B, V], in float32 throughout."""
        x = hidden if self._projection is None else hidden @ self._projection
        logits = x @ self._output + self._output_bias
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        log_probs: FloatArray = logits
        return log_probs


def _sigmoid(x: FloatArray) -> FloatArray:
    # tanh neither overflows nor warns, however large x is.
    squashed: FloatArray = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return squashed


def _count_layers(arrays: Mapping[str, FloatArray]) -> int:
    return sum(name.endswith(".recurrent") for name in arrays)


def _layer(arrays: Mapping[str, FloatArray], number: int) -> _Layer:
    prefix = f"cells.{number}."
    return _Layer(
        input=np.ascontiguousarray(arrays[prefix + "input"].T),
        recurrent=np.ascontiguousarray(arrays[prefix + "recurrent"].T),
        bias=arrays[prefix + "bias"],
    )


def _check_shapes(model: RecurrentLanguageModel) -> None:
    """A file that lies about its shapes must not become a model that speaks nonsense."""
    if any(array.dtype != np.float32 or not np.all(np.isfinite(array)) for array in model._arrays.values()):
        raise ValueError("its weights are not finite float32 numbers")
    if model._cell not in {"elman", "lstm"}:
        raise ValueError(f"there is no cell {model._cell!r}")
    gates = 4 if model._cell == "lstm" else 1
    H, E = model._hidden_size, model._embedding.shape[1]
    wanted = [(E if number == 0 else H, gates * H) for number in range(len(model._layers))]
    if [layer.input.shape for layer in model._layers] != wanted:
        raise ValueError("its layers do not fit together")
    if any(layer.recurrent.shape != (H, gates * H) or layer.bias.shape != (gates * H,) for layer in model._layers):
        raise ValueError("its recurrent weights do not fit its size")
    out = H if model._projection is None else model._projection.shape[1]
    V = model.vocabulary_size
    if model._output.shape != (out, V) or model._output_bias.shape != (V,) or not 0 <= model._eos < V:
        raise ValueError("its softmax does not fit its vocabulary")
