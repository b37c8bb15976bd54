"""The cells against the lecture's equations, worked by hand in numpy; the network's loss against its example."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from ml.models.cells import Elman, Lstm

Array = NDArray[np.float64]

T, B, E, H, V = 5, 2, 3, 4, 6


def sigmoid(x: Array) -> Array:
    squashed: Array = 1 / (1 + np.exp(-x))
    return squashed


def softmax(x: Array) -> Array:
    """Over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


@dataclass
class Lecture:
    """h_t = σ(W_h h_{t-1} + W_e e_t + b_1), ŷ_t = softmax(U h_t + b_2), loss = mean of -log ŷ_t[y_t]."""

    W_h: Array  # [H, H]
    W_e: Array  # [H, E]
    b_1: Array  # [H]
    U: Array  # [V, H]
    b_2: Array  # [V]

    def forward(self, e: Array, y: NDArray[np.int64]) -> tuple[float, Array, Array]:
        """e: [T, B, E], y: [T, B] → the loss, h [T+1, B, H] beginning with zeros, ŷ [T, B, V]."""
        h = np.zeros((T + 1, B, H))
        for t in range(T):
            h[t + 1] = sigmoid(h[t] @ self.W_h.T + e[t] @ self.W_e.T + self.b_1)
        y_hat = softmax(h[1:] @ self.U.T + self.b_2)
        picked = np.take_along_axis(y_hat, y[..., np.newaxis], axis=-1)
        return float(-np.log(picked).mean()), h, y_hat

    def back_propagation_through_time(self, e: Array, y: NDArray[np.int64]) -> dict[str, Array]:
        """The derivative of the loss by each weight, by the chain rule from the last step to the first."""
        _, h, y_hat = self.forward(e, y)
        # dL/d(logits) = (ŷ - one_hot(y)) / (T·B)
        d_logits = (y_hat - np.eye(V)[y]) / (T * B)
        found = {name: np.zeros_like(weight) for name, weight in vars(self).items()}
        found["U"] = np.einsum("tbv,tbh->vh", d_logits, h[1:])
        found["b_2"] = d_logits.sum(axis=(0, 1))
        from_later = np.zeros((B, H))  # dL/dh_t through h_{t+1}
        for t in reversed(range(T)):
            d_h = d_logits[t] @ self.U + from_later
            d_z = d_h * h[t + 1] * (1 - h[t + 1])  # σ' = σ(1 - σ)
            found["W_h"] += d_z.T @ h[t]
            found["W_e"] += d_z.T @ e[t]
            found["b_1"] += d_z.sum(axis=0)
            from_later = d_z @ self.W_h
        return found


@pytest.fixture
def lecture() -> Lecture:
    random = np.random.default_rng(1)
    shapes = {"W_h": (H, H), "W_e": (H, E), "b_1": (H,), "U": (V, H), "b_2": (V,)}
    return Lecture(**{name: random.normal(size=shape) for name, shape in shapes.items()})


@pytest.fixture
def e() -> Array:
    return np.random.default_rng(2).normal(size=(T, B, E))


@pytest.fixture
def y() -> NDArray[np.int64]:
    return np.random.default_rng(3).integers(V, size=(T, B))


def elman_of(lecture: Lecture) -> Elman:
    cell = Elman(E, H).double()
    with torch.no_grad():
        cell.recurrent.copy_(torch.from_numpy(lecture.W_h))
        cell.input.copy_(torch.from_numpy(lecture.W_e))
        cell.bias.copy_(torch.from_numpy(lecture.b_1))
    return cell


def zeros(*, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.zeros(B, H, dtype=dtype)


def test_softmax_is_the_lectures_example() -> None:
    logits = torch.tensor([3.82, 5.35, 1.44, -1.26, 2.71, 1.98], dtype=torch.float64)
    expected = torch.tensor(
        [0.16115195, 0.74422819, 0.01491471, 0.00100235, 0.05310907, 0.02559374], dtype=torch.float64
    )
    torch.testing.assert_close(logits.softmax(0), expected, atol=1e-8, rtol=0)
    np.testing.assert_allclose(softmax(logits.numpy()), expected.numpy(), atol=1e-8)


def test_cross_entropy_is_minus_the_log_of_the_softmax_at_the_target() -> None:
    logits = torch.tensor([[3.82, 5.35, 1.44, -1.26, 2.71, 1.98]], dtype=torch.float64)
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(-np.log(0.74422819), abs=1e-7)


def test_elman_steps_are_the_lectures(lecture: Lecture, e: Array, y: NDArray[np.int64]) -> None:
    _, h, _ = lecture.forward(e, y)
    outputs, (last,) = elman_of(lecture)(torch.from_numpy(e), (zeros(),))
    np.testing.assert_allclose(outputs.detach().numpy(), h[1:], atol=1e-12)
    np.testing.assert_allclose(last.detach().numpy(), h[-1], atol=1e-12)


def test_elman_gradients_are_the_lectures_back_propagation_through_time(
    lecture: Lecture, e: Array, y: NDArray[np.int64]
) -> None:
    cell = elman_of(lecture)
    U = torch.from_numpy(lecture.U).requires_grad_()
    b_2 = torch.from_numpy(lecture.b_2).requires_grad_()
    outputs, _ = cell(torch.from_numpy(e), (zeros(),))
    cross_entropy((outputs @ U.T + b_2).flatten(0, 1), torch.from_numpy(y).flatten()).backward()  # type: ignore[no-untyped-call]
    learnt = {"W_h": cell.recurrent, "W_e": cell.input, "b_1": cell.bias, "U": U, "b_2": b_2}
    by_hand = lecture.back_propagation_through_time(e, y)
    for name, weight in learnt.items():
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad.numpy(), by_hand[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["W_h", "W_e", "b_1", "U", "b_2"])
def test_the_lectures_gradients_are_the_slopes_of_its_loss(
    lecture: Lecture, e: Array, y: NDArray[np.int64], name: str
) -> None:
    by_hand = lecture.back_propagation_through_time(e, y)[name]
    weight: Array = getattr(lecture, name)
    tiny = 1e-6
    for place in np.ndindex(weight.shape):
        kept = weight[place]
        weight[place] = kept + tiny
        above, _, _ = lecture.forward(e, y)
        weight[place] = kept - tiny
        below, _, _ = lecture.forward(e, y)
        weight[place] = kept
        assert (above - below) / (2 * tiny) == pytest.approx(by_hand[place], abs=1e-8)


def test_lstm_steps_are_the_plain_equations(e: Array) -> None:
    torch.manual_seed(4)
    cell = Lstm(E, H).double()
    random = np.random.default_rng(5)
    h, c = random.normal(size=(2, B, H))
    W, U, b = (weight.detach().numpy() for weight in cell.weights())
    outputs, (last_h, last_c) = cell(torch.from_numpy(e), (torch.from_numpy(h), torch.from_numpy(c)))
    for t in range(T):
        z = e[t] @ W.T + h @ U.T + b
        i, f, g, o = z[:, :H], z[:, H : 2 * H], z[:, 2 * H : 3 * H], z[:, 3 * H :]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(outputs[t].detach().numpy(), h, atol=1e-12)
    np.testing.assert_allclose(last_h.detach().numpy(), h, atol=1e-12)
    np.testing.assert_allclose(last_c.detach().numpy(), c, atol=1e-12)


def test_the_forget_gate_of_a_new_lstm_is_open() -> None:
    _, _, bias = Lstm(E, H).weights()
    assert bias.tolist() == [0.0] * H + [1.0] * H + [0.0] * 2 * H


@pytest.mark.parametrize(("cell", "parts"), [(Elman, 1), (Lstm, 2)])
def test_two_halves_read_one_after_the_other_are_the_whole(
    cell: Callable[[int, int], Elman | Lstm], parts: int, e: Array
) -> None:
    torch.manual_seed(6)
    module = cell(E, H).double()
    x = torch.from_numpy(e)
    start = tuple(zeros() for _ in range(parts))
    whole, _ = module(x, start)
    first, between = module(x[:2], start)
    second, _ = module(x[2:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-12, rtol=0)
