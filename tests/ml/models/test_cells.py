"""The cells against the lecture's equations, worked by hand in numpy; the network's loss against its example."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from ml.models.cell_steps import CELL_STEPS
from ml.models.cells import CELLS, Cell, Elman, Lstm, ReluElman
from ml.preset import CELLS_WITHOUT_MATRIX

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
        cell.get_parameter("recurrent").copy_(torch.from_numpy(lecture.W_h))
        cell.get_parameter("input").copy_(torch.from_numpy(lecture.W_e))
        cell.get_parameter("bias").copy_(torch.from_numpy(lecture.b_1))
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
    learnt = {"U": U, "b_2": b_2}
    learnt |= {
        ours: cell.get_parameter(name) for ours, name in (("W_h", "recurrent"), ("W_e", "input"), ("b_1", "bias"))
    }
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


def weights_of(cell: Cell) -> dict[str, Array]:
    return {name: weight.detach().numpy() for name, weight in cell.named_parameters()}


def plain_elman(activation: Callable[[Array], Array]) -> Callable[..., list[Array]]:
    def step(w: dict[str, Array], x: Array, h: Array) -> list[Array]:
        return [activation(x @ w["input"].T + h @ w["recurrent"].T + w["bias"])]

    return step


def plain_gru(w: dict[str, Array], x: Array, h: Array) -> list[Array]:
    W_r, W_z, W_n = np.split(w["input"], 3)
    U_r, U_z, U_n = np.split(w["recurrent"], 3)
    b_r, b_z, b_n = np.split(w["bias"], 3)
    r = sigmoid(x @ W_r.T + h @ U_r.T + b_r)
    z = sigmoid(x @ W_z.T + h @ U_z.T + b_z)
    n = np.tanh(x @ W_n.T + b_n + r * (h @ U_n.T + w["candidate_bias"]))
    return [(1 - z) * n + z * h]


def plain_lstm(w: dict[str, Array], x: Array, h: Array, c: Array) -> list[Array]:
    i, f, g, o = np.split(x @ w["input"].T + h @ w["recurrent"].T + w["bias"], 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def plain_sru(w: dict[str, Array], x: Array, _h: Array, c: Array) -> list[Array]:
    W, W_f, W_r, *rest = np.split(w["input"], len(w["input"]) // H)
    skipped = x @ rest[0].T if rest else x
    v_f, v_r = np.split(w["peephole"], 2)
    b_f, b_r = np.split(w["bias"], 2)
    f = sigmoid(x @ W_f.T + v_f * c + b_f)
    r = sigmoid(x @ W_r.T + v_r * c + b_r)
    c = f * c + (1 - f) * (x @ W.T)
    return [r * c + (1 - r) * skipped, c]


def plain_qrnn(w: dict[str, Array], x: Array, _h: Array, c: Array, before: Array) -> list[Array]:
    z, f, o = np.split(x @ w["input"].T + before + w["bias"], 3, axis=1)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(z)
    return [sigmoid(o) * c, c, x @ w["previous_input"].T]


def plain_mingru(w: dict[str, Array], x: Array, h: Array) -> list[Array]:
    W_z, W_h = np.split(w["input"], 2)
    b_z, b_h = np.split(w["bias"], 2)
    z = sigmoid(x @ W_z.T + b_z)
    return [(1 - z) * h + z * (x @ W_h.T + b_h)]


PLAIN: dict[str, Callable[..., list[Array]]] = {
    "elman": plain_elman(sigmoid),
    "elman-tanh": plain_elman(np.tanh),
    "elman-relu": plain_elman(lambda z: np.where(z > 0, z, 0)),
    "gru": plain_gru,
    "lstm": plain_lstm,
    "sru": plain_sru,
    "qrnn": plain_qrnn,
    "mingru": plain_mingru,
}


def a_cell(kind: str, *, input_size: int = E) -> Cell:
    """With weights far enough from their beginnings for a mistake to show."""
    torch.manual_seed(4)
    cell = CELLS[kind](input_size, H)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.normal_()
    return cell.double()


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("input_size", [E, H])
def test_a_cells_steps_are_its_plain_equations(kind: str, input_size: int) -> None:
    cell = a_cell(kind, input_size=input_size)
    random = np.random.default_rng(5)
    x = random.normal(size=(T, B, input_size))
    state = [random.normal(size=part.shape) for part in cell.initial_state(B)]
    outputs, last = cell(torch.from_numpy(x), tuple(torch.from_numpy(part) for part in state))
    for t in range(T):
        state = PLAIN[kind](weights_of(cell), x[t], *state)
        np.testing.assert_allclose(outputs[t].detach().numpy(), state[0], atol=1e-12)
    for part, by_hand in zip(last, state, strict=True):
        np.testing.assert_allclose(part.detach().numpy(), by_hand, atol=1e-12)


@pytest.mark.parametrize("kind", CELLS)
def test_the_step_that_is_served_is_the_cell_that_was_trained(kind: str) -> None:
    cell = a_cell(kind).float()
    step = CELL_STEPS[kind]({name: weight.detach().numpy() for name, weight in cell.named_parameters()})
    random = np.random.default_rng(5)
    x = random.normal(size=(T, B, E)).astype(np.float32)
    state = tuple(random.normal(size=part.shape).astype(np.float32) for part in cell.initial_state(B))
    outputs, _ = cell(torch.from_numpy(x), tuple(torch.from_numpy(part) for part in state))
    driven = step.drive(x.reshape(T * B, E)).reshape(T, B, -1)
    for t in range(T):
        state = step.step(driven[t], state)
        np.testing.assert_allclose(state[0], outputs[t].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", CELLS)
def test_gradients_through_all_steps_are_the_slopes(kind: str) -> None:
    cell = a_cell(kind)
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(3, B, E))).requires_grad_()
    state = tuple(torch.full_like(part, 0.3).double().requires_grad_() for part in cell.initial_state(B))

    def outputs(x: torch.Tensor, *state: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = cell(x, state)[0]
        return found

    assert torch.autograd.gradcheck(outputs, (x, *state), atol=1e-6)


def test_the_forget_gate_of_a_new_lstm_is_open() -> None:
    bias = Lstm(E, H).get_parameter("bias")
    assert bias.tolist() == [0.0] * H + [1.0] * H + [0.0] * 2 * H


def test_a_new_rectified_elman_cell_keeps_its_state() -> None:
    cell = ReluElman(E, H)
    start = torch.rand(B, H)
    outputs, _ = cell(torch.zeros(T, B, E), (start,))
    torch.testing.assert_close(outputs[-1], start)


@pytest.mark.parametrize("kind", CELLS)
def test_two_halves_read_one_after_the_other_are_the_whole(kind: str, e: Array) -> None:
    cell = a_cell(kind)
    x = torch.from_numpy(e)
    start = tuple(part.double() for part in cell.initial_state(B))
    whole, _ = cell(x, start)
    first, between = cell(x[:2], start)
    second, _ = cell(x[2:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", [kind for kind in CELLS if kind not in CELLS_WITHOUT_MATRIX])
def test_weight_drop_takes_recurrent_weights_only_while_training_and_the_same_ones_for_all_steps(kind: str) -> None:
    torch.manual_seed(6)
    cell = CELLS[kind](E, 40, weight_drop=0.4)
    x = torch.zeros(1, 1, E)
    recurrent = cell.get_parameter("recurrent")
    with torch.no_grad():
        recurrent.normal_()
    dropped = cell.recurrent_weight(x)
    zero = dropped == 0
    assert 0.3 < zero.float().mean() < 0.5
    torch.testing.assert_close(dropped[~zero], recurrent[~zero] / 0.6)
    # With one mask for the window, two steps with it are the steps of a cell that has the masked matrix.
    torch.manual_seed(7)
    expected = cell.recurrent_weight(x)
    fixed = CELLS[kind](E, 40)
    fixed.load_state_dict({**cell.state_dict(), "recurrent": expected})
    inputs, start = torch.randn(T, B, E) / 10, cell.initial_state(B)
    torch.manual_seed(7)
    torch.testing.assert_close(cell(inputs, start)[0], fixed(inputs, start)[0])
    assert torch.equal(cell.eval().recurrent_weight(x), recurrent)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("elman", H * E + H * H + H),
        ("gru", 3 * (H * E + H * H + H) + H),
        ("lstm", 4 * (H * E + H * H + H)),
        ("sru", 4 * H * E + 4 * H),
        ("qrnn", 3 * H * 2 * E + 3 * H),
        ("mingru", 2 * H * E + 2 * H),
    ],
)
def test_a_cell_has_as_many_parameters_as_its_equations(kind: str, count: int) -> None:
    assert sum(weight.numel() for weight in CELLS[kind](E, H).parameters()) == count


@pytest.mark.parametrize(("kind", "theirs"), [("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)])
def test_torchs_own_layer_gives_the_same(kind: str, theirs: type[torch.nn.LSTM | torch.nn.GRU], e: Array) -> None:
    cell = a_cell(kind)
    layer = theirs(E, H).double()
    with torch.no_grad():
        layer.get_parameter("weight_ih_l0").copy_(cell.get_parameter("input"))
        layer.get_parameter("weight_hh_l0").copy_(cell.get_parameter("recurrent"))
        layer.get_parameter("bias_ih_l0").copy_(cell.get_parameter("bias"))
        layer.get_parameter("bias_hh_l0").zero_()
        if kind == "gru":
            layer.get_parameter("bias_hh_l0")[2 * H :].copy_(cell.get_parameter("candidate_bias"))
    start = tuple(part.double() for part in cell.initial_state(B))
    torch.testing.assert_close(cell(torch.from_numpy(e), start)[0], layer(torch.from_numpy(e))[0])
