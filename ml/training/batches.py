"""Posts → one shuffled stream → B columns → windows (T, B) for truncated back-propagation through time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml.language_model import TokenArray

# Marks a target that is no token: the end of the last column.
PADDING = -1


@dataclass(frozen=True, slots=True)
class Columns:
    """A stream cut into B columns that are read side by side.

    inputs, targets: [S, B] int64; targets are the stream, inputs the token before each (for the first, `<eos>`).
    """

    inputs: TokenArray
    targets: TokenArray

    def windows(self, length: int, *, start: int = 0) -> Iterator[tuple[TokenArray, TokenArray]]:
        """(inputs, targets) of [T, B] with T = length, the last one shorter; `start` of them are passed over."""
        for begin in range(start * length, len(self.inputs), length):
            yield self.inputs[begin : begin + length], self.targets[begin : begin + length]


def shuffled(tokens: TokenArray, *, eos: int, seed: int, epoch: int) -> TokenArray:
    """The posts of a stream in an order that seed and epoch decide. tokens: [T], posts closed by `eos` → [T]."""
    ends = np.flatnonzero(tokens == eos) + 1
    starts = np.concatenate(([0], ends[:-1]))
    order = np.random.default_rng([seed, epoch]).permutation(len(ends))
    lengths = (ends - starts)[order]
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    stream: TokenArray = tokens[np.repeat(starts[order], lengths) + offsets]
    return stream


def in_columns(stream: TokenArray, *, columns: int, eos: int) -> Columns:
    """Cut a stream into equal columns; every token is the target of exactly one place."""
    rows = -(-len(stream) // columns)
    targets = np.full(rows * columns, PADDING, dtype=np.int64)
    targets[: len(stream)] = stream
    inputs = np.full(rows * columns, eos, dtype=np.int64)
    inputs[1 : len(stream)] = stream[:-1]
    return Columns(
        inputs=np.ascontiguousarray(inputs.reshape(columns, rows).T),
        targets=np.ascontiguousarray(targets.reshape(columns, rows).T),
    )


def fitting_columns(n_tokens: int, *, columns: int, window: int) -> int:
    """Fewer columns where the text is short: an epoch should still be some thirty steps."""
    return max(4, min(columns, n_tokens // (window * 30)))
