"""The LanguageModel protocol: a distribution over the next token given those before it.

Every model implements it, so that sampling, evaluation, mixing and benchmarking are each written once. The
interface speaks numpy: whoever serves a model needs no training framework.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

TokenArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float32]


class State(Protocol):
    """What a model remembers of B histories: a value, never changed in place.

    Rows can be taken and joined, so that a sampler drops finished sentences and admits new ones at any step.
    """

    def take(self, rows: TokenArray) -> Self:
        """The state of the given rows (indices: [B'] int64), in that order; a row may be taken twice."""
        ...

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """One state with the rows of all, in order."""
        ...


class LanguageModel(Protocol):
    """P(next token | tokens before it), stepped in batches or scored as a whole."""

    @property
    def vocabulary_size(self) -> int:
        """V, the number of token ids: 0 … V-1."""
        ...

    @property
    def parameters(self) -> int:
        """How many numbers the model stores."""
        ...

    def initial_state(self, batch_size: int) -> Any:
        """The state of `batch_size` rows that have read nothing yet. Reading `<eos>` from here begins a post."""
        ...

    def step(self, tokens: TokenArray, state: Any) -> tuple[FloatArray, Any]:
        """Read one token a row.

        tokens: [B] int64. Returns log-probabilities of the next token ([B, V] float32, natural logarithm, each
        row sums to one after exp) and the state after reading.
        """
        ...

    def score(self, tokens: TokenArray) -> FloatArray:
        """Natural log-probability of each token of one stream.

        tokens: [T] int64, the posts one after the other, each closed by `<eos>`. Before the first token the model
        has read one `<eos>`. Returns [T] float32: the number of predictions is the number of tokens.
        """
        ...


class StoredModel(LanguageModel, Protocol):
    """A language model that can be written to a directory and read from it, beside others."""

    def save(self, directory: Path) -> None: ...

    @classmethod
    def load(cls, directory: Path) -> Self: ...


def post_bounds(tokens: TokenArray, *, eos: int) -> tuple[TokenArray, TokenArray]:
    """Where each post of a stream starts and how many tokens it has, `<eos>` counted: two arrays [P] int64.

    tokens: [T] int64; what stands after the last `<eos>` is a post too.
    """
    ends = np.flatnonzero(tokens == eos) + 1
    if len(tokens) and (len(ends) == 0 or ends[-1] != len(tokens)):
        ends = np.append(ends, len(tokens))
    starts = np.concatenate(([0], ends[:-1]))[: len(ends)].astype(np.int64)
    return starts, ends - starts
