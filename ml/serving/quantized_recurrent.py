"""QuantizedRecurrent: a recurrent network served from its ONNX step, by onnxruntime."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray
from ml.models.recurrent_stepper import RecurrentState

FILE_NAME: Final = "step.onnx"
FORMAT: Final = "1"
# Warnings of onnxruntime are about graphs that could be prettier; errors are raised.
_ERRORS_ONLY: Final = 3


class QuantizedRecurrent:
    """The network's next-token distribution, with weights of seven bits. Steps one batch at a time in one thread."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Raises ValueError for a graph that is no step."""
        said = session.get_modelmeta().custom_metadata_map
        if said.get("format") != FORMAT:
            raise ValueError(f"it has format {said.get('format')!r}; this version reads {FORMAT!r}")
        self._session = session
        self.eos = int(said["eos"])
        self._before = [(node.name, node.shape[1]) for node in session.get_inputs()[1:]]
        self._outputs = ["probabilities", *(name.replace("before", "after", 1) for name, _ in self._before)]
        self._V = session.get_outputs()[0].shape[1]
        self._layers = 1 + max(int(name.split(".")[1]) for name, _ in self._before)
        whole = all(isinstance(size, int) and size > 0 for size in (self._V, *(size for _, size in self._before)))
        if not whole or not 0 <= self.eos < self._V or len(self._before) % self._layers:
            raise ValueError("its sizes do not fit together")

    @classmethod
    def load(cls, directory: Path, *, threads: int = 1) -> "QuantizedRecurrent":
        """Read `step.onnx`. Raises ArtifactError."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # A thread that spins while it waits takes a core from whoever answers requests.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Batches change their size all the time, so remembered plans would pile up; arenas never give memory back.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
        path = directory / FILE_NAME
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            return cls(session)
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise ArtifactError(f"{path} holds no step of a network: {str(error).partition(chr(10))[0]}.") from error

    @property
    def vocabulary_size(self) -> int:
        return int(self._V)

    def initial_state(self, batch_size: int) -> RecurrentState:
        parts = [np.zeros((batch_size, size), dtype=np.float32) for _, size in self._before]
        return self._by_layer(parts)

    def step(self, tokens: TokenArray, state: RecurrentState) -> tuple[FloatArray, RecurrentState]:
        """Read one token a row: [B] int64 → probabilities [B, V] float32 of the next, and the state after it."""
        parts = (part for layer in state.layers for part in layer)
        fed: dict[str, Any] = {name: part for (name, _), part in zip(self._before, parts, strict=True)}
        probabilities, *after = self._session.run(self._outputs, {"tokens": tokens, **fed})
        return probabilities, self._by_layer(after)

    def rest(self) -> None:
        """All of it is in use: onnxruntime keeps the weights in an order of its own."""

    def _by_layer(self, parts: list[FloatArray]) -> RecurrentState:
        a_layer = len(parts) // self._layers
        return RecurrentState(tuple(tuple(parts[at : at + a_layer]) for at in range(0, len(parts), a_layer)))
