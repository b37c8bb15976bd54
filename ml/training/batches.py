"""Posts → columns that are read side by side → batches (T, B) for truncated back-propagation through time.

Two ways to read. As a stream, the shuffled posts follow each other and are cut into B long columns. As posts, those of
like length stand side by side, a column a post, so that little of a batch is padding and every post begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.language_model import TokenArray, post_bounds

PADDING: Final = -1
"""Marks a target that is no token: what stands after the end of a post or of the last column."""

LONGEST_WINDOW: Final = 128
"""Tokens of a post through which the gradient runs back at most; posts of this length are rare."""

_SHORT_WINDOWS: Final = 0.05  # share of windows that are drawn around half the length
_SPREAD: Final = 0.1  # standard deviation of a window's length, as a share of it
_SHORTEST_WINDOW: Final = 5

Random: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class Batch:
    """B columns of T tokens.

    inputs, targets: [T, B] int64, targets with PADDING. begins: the columns are read from the initial state; otherwise
    they go on where the batch before ended.
    """

    inputs: TokenArray
    targets: TokenArray
    begins: bool


def stream_batches(
    tokens: TokenArray, *, eos: int, columns: int, window: int, random: Random | None = None
) -> list[Batch]:
    """The posts in their order as one stream, in `columns` columns.

    Windows are `window` long; with `random`, of random lengths around it (Merity et al. 2017, §4.1).
    """
    inputs, targets = in_columns(tokens, columns=columns, eos=eos)
    cuts = _cuts(len(inputs), window=window, random=random)
    return [Batch(inputs[begin:end], targets[begin:end], begins=begin == 0) for begin, end in pairwise(cuts)]


def post_batches(
    tokens: TokenArray, *, eos: int, columns: int, window: int, random: Random | None = None
) -> list[Batch]:
    """A column a post, posts of like length side by side, in an order that `random` decides.

    A batch has about `columns` · `window` places. Posts longer than `LONGEST_WINDOW` tokens are read in several
    batches, of which all but the first go on where the one before ended.
    """
    starts, lengths = post_bounds(tokens, eos=eos)
    mixed = np.arange(len(starts)) if random is None else random.permutation(len(starts))
    order = mixed[np.argsort(lengths[mixed], kind="stable")]
    groups = _groups(lengths[order], places=columns * window)
    if random is not None:
        random.shuffle(groups)
    batches = []
    for first, last in groups:
        chosen = order[first:last]
        inputs, targets = _side_by_side(tokens, starts[chosen], lengths[chosen], eos=eos)
        batches += [
            Batch(inputs[begin : begin + LONGEST_WINDOW], targets[begin : begin + LONGEST_WINDOW], begins=begin == 0)
            for begin in range(0, len(inputs), LONGEST_WINDOW)
        ]
    return batches


def in_columns(stream: TokenArray, *, columns: int, eos: int) -> tuple[TokenArray, TokenArray]:
    """Cut a stream into equal columns: inputs and targets [S, B]; every token is the target of exactly one place."""
    rows = -(-len(stream) // columns)
    targets = np.full(rows * columns, PADDING, dtype=np.int64)
    targets[: len(stream)] = stream
    inputs = np.full(rows * columns, eos, dtype=np.int64)
    inputs[1 : len(stream)] = stream[:-1]
    return _as_columns(inputs, columns), _as_columns(targets, columns)


def fitting_columns(n_tokens: int, *, columns: int, window: int) -> int:
    """Fewer columns where the text is short: an epoch should still be some thirty steps."""
    return max(4, min(columns, n_tokens // (window * 30)))


def _as_columns(places: NDArray[np.int64], columns: int) -> TokenArray:
    return np.ascontiguousarray(places.reshape(columns, -1).T)


def _cuts(rows: int, *, window: int, random: Random | None) -> Sequence[int]:
    """Where windows begin, and where the last one ends."""
    if random is None:
        return [*range(0, rows, window), rows]
    cuts = [0]
    while cuts[-1] < rows:
        length = window / 2 if random.random() < _SHORT_WINDOWS else window
        cuts.append(cuts[-1] + max(_SHORTEST_WINDOW, round(random.normal(length, length * _SPREAD))))
    return [*cuts[:-1], rows]


def _groups(lengths: TokenArray, *, places: int) -> list[tuple[int, int]]:
    """Slices of posts sorted by length, each as many as fit into `places` at the length of the longest."""
    groups = []
    first = 0
    while first < len(lengths):
        candidates = lengths[first : first + places]
        fitting = candidates * np.arange(1, len(candidates) + 1)
        last = first + max(1, int(np.searchsorted(fitting, places, side="right")))
        groups.append((first, last))
        first = last
    return groups


def _side_by_side(
    tokens: TokenArray, starts: TokenArray, lengths: TokenArray, *, eos: int
) -> tuple[TokenArray, TokenArray]:
    steps = np.arange(lengths.max())[:, np.newaxis]
    inside = steps < lengths
    targets = np.where(inside, tokens[np.where(inside, starts + steps, 0)], PADDING)
    inputs = np.full_like(targets, eos)
    inputs[1:] = np.where(inside[1:], targets[:-1], eos)
    return inputs, targets
