"""probabilities[B, V] + noise → tokens[B]: temperature, truncation and the draw. Pure: the noise is an argument.

Everything stays in float32 and in the array that is given; only sums over blocks of the vocabulary are float64.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.language_model import FloatArray, TokenArray
from ml.sampling.shape import Shape
from ml.sampling.truncation import truncate

# Tokens whose weights are summed as one: the draw first chooses a block, then looks into that block alone.
_BLOCK: Final = 64

# Rows that are raised to a power together: of a vocabulary of 10,000 they stay in a core's second-level cache.
_ROWS_AT_ONCE: Final = 8

# Temperatures beyond these are as good as these, and their reciprocals still are float32 numbers.
_COLDEST: Final = 1e-30
_HOTTEST: Final = 1e30

# A most probable token of less than exp(-30) after the power, or more than exp(30), would lose the others to float32.
_SAFE_NATS: Final = 30.0

_LEAST: Final = np.finfo(np.float32).tiny


def draw(probabilities: FloatArray, uniforms: NDArray[np.float64], shapes: Sequence[Shape]) -> TokenArray:
    """One token a row, by inverting the cumulative sum of the row's weights.

    probabilities: [B, V] float32, 0 or more, not necessarily normalised; what must not be drawn is 0, and each row has
    something above 0 and a finite sum. **It is overwritten.** uniforms: [B] float64 in [0, 1), one a row. shapes: one
    a row. They apply in this order: temperature, top_k, top_p, typical_p, min_p, each to what the one before it left.
    Of equally probable tokens the lower id goes first.

    Returns [B] int64: never a token of probability 0. A row's token depends on that row alone, bit for bit.
    """
    temperatures = np.array([shape.temperature for shape in shapes])
    greedy = np.flatnonzero(temperatures == 0)
    most_probable: TokenArray = (probabilities if len(greedy) == len(shapes) else probabilities[greedy]).argmax(axis=1)
    if len(greedy) == len(shapes):
        return most_probable
    _temper(probabilities, temperatures)
    truncate(probabilities, shapes)
    tokens = _invert(probabilities, uniforms)
    tokens[greedy] = most_probable
    return tokens


def penalise(probabilities: FloatArray, rows_said: Sequence[Sequence[int]], penalties: Sequence[float]) -> None:
    """Make what a row has said less probable, in place: p becomes p ** penalty.

    probabilities: [B, V] float32 in [0, 1]. rows_said: the tokens of each row so far, prompt included; how often each
    was said makes no difference. penalties: [B], 1 or more; 1 leaves a row alone. What was possible stays possible,
    however high the penalty.

    Source: Keskar et al. 2019 (CTRL), §4.1, with the penalty multiplying log-probabilities: they are never positive,
    so it always lowers, while a logit divided by it may rise.
    """
    for row, (said, penalty) in enumerate(zip(rows_said, penalties, strict=True)):
        if penalty == 1 or not said:
            continue
        tokens = np.unique(np.array(said, dtype=np.int64))
        before = probabilities[row, tokens]
        probabilities[row, tokens] = np.minimum(before, np.maximum(before.astype(np.float64) ** penalty, _LEAST))


def _temper(weights: FloatArray, temperatures: NDArray[np.float64]) -> None:
    """Raise each row to 1 / temperature, in place, up to a factor a row. weights: [B, V]; temperatures: [B].

    Rows of temperature 1 or 0 stay as they are.
    """
    rows = np.flatnonzero((temperatures != 1) & (temperatures != 0))
    exponents = 1 / np.clip(temperatures[rows], _COLDEST, _HOTTEST)
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[begin : begin + _ROWS_AT_ONCE]
        if some[-1] - some[0] == len(some) - 1:  # neighbours: a view instead of a copy
            _raise(weights[some[0] : some[-1] + 1], exponents[begin : begin + _ROWS_AT_ONCE])
        else:
            taken = weights[some]
            _raise(taken, exponents[begin : begin + _ROWS_AT_ONCE])
            weights[some] = taken


def _raise(weights: FloatArray, exponents: NDArray[np.float64]) -> None:
    """weights ** exponents in place: [n, V] and [n]."""
    highest = weights.max(axis=1)
    unsafe = np.flatnonzero(np.abs(np.log(highest.astype(np.float64)) * exponents) > _SAFE_NATS)
    if len(unsafe):
        weights[unsafe] /= highest[unsafe, np.newaxis]
    with np.errstate(divide="ignore"):  # log 0 is -inf, and its exponential 0 again
        np.log(weights, out=weights)
    weights *= exponents.astype(np.float32)[:, np.newaxis]
    np.exp(weights, out=weights)


def _invert(weights: FloatArray, uniforms: NDArray[np.float64]) -> TokenArray:
    """The token of each row at which the cumulative sum passes uniform * sum: [B] int64."""
    B, V = weights.shape
    rows = np.arange(B)
    reached = _reached(weights)
    # uniform < 1, so the target lies below the sum, and the first block that ends above it has a weight of its own.
    targets = uniforms * reached[:, -1]
    blocks = (reached[:, 1:] <= targets[:, np.newaxis]).sum(axis=1)
    places = blocks[:, np.newaxis] * _BLOCK + np.arange(_BLOCK)
    inside = weights[rows[:, np.newaxis], np.minimum(places, V - 1)]
    inside[places >= V] = 0
    within = inside.cumsum(axis=1, dtype=np.float64)
    # The block's float32 sum may have been rounded up past the float64 one: the target must stay below both.
    left = np.minimum(targets - reached[rows, blocks], np.nextafter(within[:, -1], 0))
    tokens: TokenArray = blocks * _BLOCK + (within <= left[:, np.newaxis]).sum(axis=1)
    return tokens


def _reached(weights: FloatArray) -> NDArray[np.float64]:
    """What each block's end reaches, after a first column of 0: [B, blocks + 1]. The last block may be short."""
    B, V = weights.shape
    whole = V // _BLOCK
    masses = np.zeros((B, -(-V // _BLOCK) + 1), dtype=np.float32)
    weights[:, : whole * _BLOCK].reshape(B, whole, _BLOCK).sum(axis=2, out=masses[:, 1 : whole + 1])
    if V % _BLOCK:
        weights[:, whole * _BLOCK :].sum(axis=1, out=masses[:, -1])
    return masses.cumsum(axis=1, dtype=np.float64)
