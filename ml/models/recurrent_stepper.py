"""RecurrentLanguageModel: a trained recurrent network as a LanguageModel, in numpy alone: serving needs no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml import mapped
from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray, post_bounds
from ml.models.cell_steps import CELL_STEPS, CellArrays, CellStep

FILE_NAME: Final = "recurrent.safetensors"
FORMAT: Final = "2"
CONTEXTS: Final = ("post", "stream")
LOWEST_TEMPERATURE: Final = 0.1
# Posts of like length are read side by side, as many as make about this many places: what the cache holds well.
_PLACES_AT_ONCE: Final = 2048
_ROWS_AT_ONCE: Final = 64
# Hidden states that are turned into distributions at once while scoring: 256 × V float32 stay in the cache.
_SCORED_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class RecurrentState:
    """What each layer remembers of B histories: its cell's arrays, each [B, ·], the hidden state first."""

    layers: tuple[CellArrays, ...]

    @property
    def outputs(self) -> FloatArray:
        """[B, H]: what the last layer put out when the last token was read."""
        return self.layers[-1][0]

    def take(self, rows: TokenArray) -> Self:
        return type(self)(tuple(tuple(part[rows] for part in parts) for parts in self.layers))

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        layers = zip(*(state.layers for state in states), strict=True)
        return cls(tuple(tuple(np.concatenate(parts) for parts in zip(*layer, strict=True)) for layer in layers))


class RecurrentLanguageModel:
    """Layers of one kind of cell over V tokens, and a softmax whose temperature was fitted on held-out posts.

    With context "post" reading `<eos>` first forgets everything, so that each post is read from the same start; with
    "stream" the state goes on from post to post.
    """

    def __init__(
        self, arrays: Mapping[str, FloatArray], *, cell: str, eos: int, context: str, temperature: float = 1.0
    ) -> None:
        """arrays: as RecurrentNetwork.arrays names them. Raises ValueError where they do not fit together."""
        self.arrays = dict(arrays)
        self.cell = cell
        self.context = context
        self.temperature = temperature
        self.eos = eos
        if not LOWEST_TEMPERATURE <= temperature <= 1 / LOWEST_TEMPERATURE:
            raise ValueError(f"its temperature is {temperature}")
        _check(self.arrays, cell=cell, eos=eos, context=context)
        self._embedding = self.arrays["embedding"]  # [V, E]
        self._cells = [
            CELL_STEPS[cell](weights_of_layer(self.arrays, layer)) for layer in range(_count_layers(self.arrays))
        ]
        projection = self.arrays.get("projection")
        self._projection = None if projection is None else np.ascontiguousarray(projection.T)  # [H, E]
        self._output = np.ascontiguousarray(self.arrays.get("output", self._embedding).T)  # [D, V]
        self._output_bias = self.arrays["output_bias"]  # [V]

    @property
    def vocabulary_size(self) -> int:
        return len(self._embedding)

    @property
    def embedding_size(self) -> int:
        return int(self._embedding.shape[1])

    @property
    def hidden_size(self) -> int:
        return _hidden_size(self.arrays)

    @property
    def layers(self) -> int:
        return len(self._cells)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each part of a layer's state, the hidden state first."""
        return CELL_STEPS[self.cell].state_sizes(self.hidden_size)

    @property
    def tied(self) -> bool:
        return "output" not in self.arrays

    @property
    def parameters(self) -> int:
        """How many numbers are stored."""
        return sum(array.size for array in self.arrays.values())

    def initial_state(self, batch_size: int) -> RecurrentState:
        zeros = tuple(np.zeros((batch_size, size), dtype=np.float32) for size in self.state_sizes)
        return RecurrentState((zeros,) * self.layers)

    def step(self, tokens: TokenArray, state: RecurrentState) -> tuple[FloatArray, RecurrentState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        if self.context == "post" and (begins := tokens == self.eos).any():
            kept = (~begins)[:, np.newaxis].astype(np.float32)
            state = RecurrentState(tuple(tuple(part * kept for part in parts) for parts in state.layers))
        x = self._embedding[tokens]
        after = []
        for cell, parts in zip(self._cells, state.layers, strict=True):
            after.append(cell.step(cell.drive(x), parts))
            x = after[-1][0]
        return self.log_probabilities(x), RecurrentState(tuple(after))

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        scored = np.empty(len(tokens), dtype=np.float32)
        for places, outputs in self._read_in_parts(tokens):
            for start in range(0, len(places), _SCORED_AT_ONCE):
                block = slice(start, start + _SCORED_AT_ONCE)
                log_probs = self.log_probabilities(outputs[block])
                wanted = tokens[places[block], np.newaxis]
                scored[places[block]] = np.take_along_axis(log_probs, wanted, axis=1)[:, 0]
        return scored

    def read(self, tokens: TokenArray) -> FloatArray:
        """Outputs from which each token of a stream is predicted: [T] int64 → [T, H]; the first after one `<eos>`."""
        outputs = np.empty((len(tokens), self.hidden_size), dtype=np.float32)
        for places, found in self._read_in_parts(tokens):
            outputs[places] = found
        return outputs

    def log_probabilities(self, outputs: FloatArray) -> FloatArray:
        """Outputs [N, H] → log-probabilities of the next token [N, V], in float32 throughout."""
        x = outputs if self._projection is None else outputs @ self._projection
        logits = x @ self._output
        logits += self._output_bias
        if self.temperature != 1:
            logits *= np.float32(1 / self.temperature)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        log_probs: FloatArray = logits
        return log_probs

    def with_temperature(self, temperature: float) -> Self:
        """The same weights with another temperature of the softmax."""
        return type(self)(self.arrays, cell=self.cell, eos=self.eos, context=self.context, temperature=temperature)

    def save(self, directory: Path) -> None:
        """Write `recurrent.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        metadata = {"format": FORMAT, "cell": self.cell, "eos": str(self.eos), "context": self.context}
        metadata["temperature"] = repr(self.temperature)
        mapped.write(arrays, directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Map and check a saved model. Raises ArtifactError when it is missing, broken or of another format."""
        path = directory / FILE_NAME
        try:
            metadata, arrays = mapped.read(path)
            if metadata.get("format") != FORMAT:
                raise ArtifactError(f"{path} has format {metadata.get('format')!r}; this version reads {FORMAT!r}.")
            return cls(
                arrays,
                cell=metadata["cell"],
                eos=int(metadata["eos"]),
                context=metadata["context"],
                temperature=float(metadata["temperature"]),
            )
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise ArtifactError(f"{path} holds no recurrent model: {error}.") from error

    def _read_in_parts(self, tokens: TokenArray) -> Iterator[tuple[TokenArray, FloatArray]]:
        """Places of the stream, each once, with their outputs: ([N] int64, [N, H])."""
        read = np.concatenate(([self.eos], tokens[:-1]))[: len(tokens)]
        if self.context == "stream":
            state = self.initial_state(1).layers
            for start in range(0, len(tokens), _PLACES_AT_ONCE):
                places = np.arange(start, min(start + _PLACES_AT_ONCE, len(tokens)))
                outputs, state = self._read_columns(read[places, np.newaxis], state)
                yield places, outputs[:, 0]
            return
        for columns in _posts_side_by_side(tokens, eos=self.eos):  # [T, B], -1 where a post is over
            outputs, _ = self._read_columns(read[np.maximum(columns, 0)], self.initial_state(columns.shape[1]).layers)
            inside = columns >= 0
            yield columns[inside], outputs[inside]

    def _read_columns(
        self, read: TokenArray, state: tuple[CellArrays, ...]
    ) -> tuple[FloatArray, tuple[CellArrays, ...]]:
        """Columns side by side: [T, B] int64 → outputs [T, B, H] and the state after them."""
        x = self._embedding[read]
        after = []
        for cell, before in zip(self._cells, state, strict=True):
            x, parts = _through(cell, x, before)
            after.append(parts)
        return x, tuple(after)


def _through(cell: CellStep, x: FloatArray, state: CellArrays) -> tuple[FloatArray, CellArrays]:
    """One layer over all steps: [T, B, E] → [T, B, H] and the state after the last."""
    T, B = x.shape[:2]
    driven = cell.drive(x.reshape(T * B, -1)).reshape(T, B, -1)
    outputs = np.empty((T, B, state[0].shape[-1]), dtype=np.float32)
    for t in range(T):
        state = cell.step(driven[t], state)
        outputs[t] = state[0]
    return outputs, state


def _posts_side_by_side(tokens: TokenArray, *, eos: int) -> Iterator[TokenArray]:
    """Places of the tokens of posts of like length, a column a post: [T, B] int64, -1 where a post is over."""
    starts, lengths = post_bounds(tokens, eos=eos)
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        shortest = lengths[order[begin]]
        chosen = order[begin : begin + min(_ROWS_AT_ONCE, max(1, _PLACES_AT_ONCE // shortest))]
        steps = np.arange(lengths[chosen].max())[:, np.newaxis]
        yield np.where(steps < lengths[chosen], starts[chosen] + steps, -1)
        begin += len(chosen)


def _count_layers(arrays: Mapping[str, FloatArray]) -> int:
    return len({name.split(".")[1] for name in arrays if name.startswith("cells.")})


def weights_of_layer(arrays: Mapping[str, FloatArray], layer: int) -> dict[str, FloatArray]:
    """The weights of one cell by the names that CellStep.shapes gives them."""
    prefix = f"cells.{layer}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _hidden_size(arrays: Mapping[str, FloatArray]) -> int:
    """H, from what leaves the last layer: into the projection, or the output weights, or the embeddings."""
    last = next(name for name in ("projection", "output", "embedding") if name in arrays)
    return int(arrays[last].shape[1])


def _check(arrays: Mapping[str, FloatArray], *, cell: str, eos: int, context: str) -> None:
    """A file that lies about its shapes must not become a model that speaks nonsense."""
    if any(array.dtype != np.float32 or not np.all(np.isfinite(array)) for array in arrays.values()):
        raise ValueError("its weights are not finite float32 numbers")
    if cell not in CELL_STEPS:
        raise ValueError(f"there is no cell {cell!r}")
    if context not in CONTEXTS:
        raise ValueError(f"there is no context {context!r}")
    if any(arrays[name].ndim != 2 for name in ("embedding", "projection", "output") if name in arrays):
        raise ValueError("its embeddings are no matrix")
    (V, E), H = arrays["embedding"].shape, _hidden_size(arrays)
    layers = _count_layers(arrays)
    wanted: dict[str, tuple[int, ...]] = {"embedding": (V, E), "output_bias": (V,)}
    for layer in range(layers):
        shapes = CELL_STEPS[cell].shapes(E if layer == 0 else H, H)
        wanted |= {f"cells.{layer}.{name}": shape for name, shape in shapes.items()}
    if "projection" in arrays:
        wanted["projection"] = (E, H)
    if "output" in arrays:
        wanted["output"] = (V, H)
    if layers == 0 or wanted != {name: array.shape for name, array in arrays.items()}:
        raise ValueError("its weights do not fit together")
    if not 0 <= eos < V:
        raise ValueError(f"<eos> is {eos} in a vocabulary of {V}")
