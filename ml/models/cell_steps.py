"""One step of each recurrent cell in numpy: what serving reads, and the shapes that training makes.

A cell reads an input in two parts. `drive` is what depends on the input alone, so that all steps of a text go into one
matrix product; `step` is the rest. A state is a tuple of arrays, the hidden state h [B, H] first.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

import numpy as np

from ml.language_model import FloatArray

CellArrays: TypeAlias = tuple[FloatArray, ...]
Shapes: TypeAlias = dict[str, tuple[int, ...]]


class CellStep(Protocol):
    """A cell with its weights."""

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        """Names and shapes of the weights for inputs [B, E] and states [B, H]."""
        ...

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        """Width of each part of the state, h first."""
        ...

    def __init__(self, weights: Mapping[str, FloatArray]) -> None: ...

    def drive(self, x: FloatArray) -> FloatArray:
        """The inputs' share of what a step computes: [N, E] → [N, ·]."""
        ...

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        """One step of B rows: driven [B, ·] and the state before → the state after."""
        ...


class _MatrixCell:
    """What Elman, GRU and LSTM share: input [G·H, E], recurrent [G·H, H], bias [G·H]."""

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        self._input = np.ascontiguousarray(weights["input"].T)
        self._recurrent = np.ascontiguousarray(weights["recurrent"].T)
        self._bias = weights["bias"]
        self._H = self._recurrent.shape[0]

    def drive(self, x: FloatArray) -> FloatArray:
        driven: FloatArray = x @ self._input + self._bias
        return driven


class _Elman(_MatrixCell):
    activation: Callable[[FloatArray], FloatArray]

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        return {"input": (H, E), "recurrent": (H, H), "bias": (H,)}

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        return (H,)

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        return (type(self).activation(driven + state[0] @ self._recurrent),)


class ElmanStep(_Elman):
    """h_t = σ(W x_t + U h_{t-1} + b), the lecture's."""

    @staticmethod
    def activation(z: FloatArray) -> FloatArray:
        return sigmoid(z)


class TanhElmanStep(_Elman):
    """h_t = tanh(W x_t + U h_{t-1} + b)."""

    @staticmethod
    def activation(z: FloatArray) -> FloatArray:
        squashed: FloatArray = np.tanh(z)
        return squashed


class ReluElmanStep(_Elman):
    """h_t = max(0, W x_t + U h_{t-1} + b). Source: Le et al. 2015."""

    @staticmethod
    def activation(z: FloatArray) -> FloatArray:
        rectified: FloatArray = np.maximum(z, np.float32(0))
        return rectified


class GruStep(_MatrixCell):
    """r, z = σ(…); n = tanh(W x + b + r ⊙ (U h + b')); h' = (1 - z) ⊙ n + z ⊙ h. Gates in the order r, z, n.

    Source: Cho et al. 2014, in the form of cuDNN, where r gates the product and not the state.
    """

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        return {"input": (3 * H, E), "recurrent": (3 * H, H), "bias": (3 * H,), "candidate_bias": (H,)}

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        return (H,)

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        super().__init__(weights)
        self._candidate_bias = weights["candidate_bias"]

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        (h,) = state
        H = self._H
        remembered = h @ self._recurrent
        gates = sigmoid(driven[:, : 2 * H] + remembered[:, : 2 * H])
        r, z = gates[:, :H], gates[:, H:]
        n = np.tanh(driven[:, 2 * H :] + r * (remembered[:, 2 * H :] + self._candidate_bias))
        return (n + z * (h - n),)


class LstmStep(_MatrixCell):
    """i, f, g, o = σ, σ, tanh, σ (W x + U h + b); c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh(c'). State (h, c).

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        return {"input": (4 * H, E), "recurrent": (4 * H, H), "bias": (4 * H,)}

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        return (H, H)

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        h, c = state
        H = self._H
        gates = driven + h @ self._recurrent
        i, f, o = sigmoid(gates[:, :H]), sigmoid(gates[:, H : 2 * H]), sigmoid(gates[:, 3 * H :])
        c = f * c + i * np.tanh(gates[:, 2 * H : 3 * H])
        return o * np.tanh(c), c


class SruStep:
    """f, r = σ(W x + v ⊙ c + b); c' = f ⊙ c + (1 - f) ⊙ W x; h = r ⊙ c' + (1 - r) ⊙ x. State (h, c).

    Nothing but vectors is multiplied with the state. Inputs of another width than H are brought to it by a matrix of
    their own. Source: Lei et al. 2018, eq. 1-4.
    """

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        return {"input": ((3 if E == H else 4) * H, E), "peephole": (2 * H,), "bias": (2 * H,)}

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        return (H, H)

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        self._input = np.ascontiguousarray(weights["input"].T)
        self._peephole, self._bias = weights["peephole"], weights["bias"]
        self._H = len(self._bias) // 2

    def drive(self, x: FloatArray) -> FloatArray:
        driven = x @ self._input
        return driven if driven.shape[1] == 4 * self._H else np.concatenate([driven, x], axis=1)

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        _, c = state
        H = self._H
        gates = sigmoid(driven[:, H : 3 * H] + self._peephole * np.concatenate([c, c], axis=1) + self._bias)
        f, r, candidate, x = gates[:, :H], gates[:, H:], driven[:, :H], driven[:, 3 * H :]
        c = candidate + f * (c - candidate)
        return x + r * (c - x), c


class QrnnStep:
    """z, f, o = tanh, σ, σ (W x_t + W' x_{t-1} + b); c' = f ⊙ c + (1 - f) ⊙ z; h = o ⊙ c'. State (h, c, W' x_{t-1}).

    Source: Bradbury et al. 2017, §2, fo-pooling with a window of two.
    """

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        return {"input": (3 * H, E), "previous_input": (3 * H, E), "bias": (3 * H,)}

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        return (H, H, 3 * H)

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        self._input = np.ascontiguousarray(np.concatenate([weights["input"], weights["previous_input"]]).T)
        self._bias = weights["bias"]
        self._H = len(self._bias) // 3

    def drive(self, x: FloatArray) -> FloatArray:
        driven: FloatArray = x @ self._input
        return driven

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        _, c, before = state
        H = self._H
        gates = driven[:, : 3 * H] + before + self._bias
        z, f, o = np.tanh(gates[:, :H]), sigmoid(gates[:, H : 2 * H]), sigmoid(gates[:, 2 * H :])
        c = z + f * (c - z)
        return o * c, c, driven[:, 3 * H :]


class MinGruStep:
    """z = σ(W_z x + b_z); h' = (1 - z) ⊙ h + z ⊙ (W_h x + b_h): a GRU whose gates do not read the state.

    Source: Feng et al. 2024, §3.1.
    """

    @staticmethod
    def shapes(E: int, H: int) -> Shapes:
        return {"input": (2 * H, E), "bias": (2 * H,)}

    @staticmethod
    def state_sizes(H: int) -> tuple[int, ...]:
        return (H,)

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        self._input = np.ascontiguousarray(weights["input"].T)
        self._bias = weights["bias"]
        self._H = len(self._bias) // 2

    def drive(self, x: FloatArray) -> FloatArray:
        driven: FloatArray = x @ self._input + self._bias
        return driven

    def step(self, driven: FloatArray, state: CellArrays) -> CellArrays:
        (h,) = state
        return (h + sigmoid(driven[:, : self._H]) * (driven[:, self._H :] - h),)


CELL_STEPS: Final[dict[str, type[CellStep]]] = {
    "elman": ElmanStep,
    "elman-tanh": TanhElmanStep,
    "elman-relu": ReluElmanStep,
    "gru": GruStep,
    "lstm": LstmStep,
    "sru": SruStep,
    "qrnn": QrnnStep,
    "mingru": MinGruStep,
}


def sigmoid(x: FloatArray) -> FloatArray:
    """1 / (1 + e^-x), which neither overflows nor warns however large x is."""
    squashed: FloatArray = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return squashed
