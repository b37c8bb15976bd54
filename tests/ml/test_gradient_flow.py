"""The gradient through time, against products of Jacobians by hand, explicit equations and finite differences."""

import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ml.errors import ConfigError, EvaluationError
from ml.gradient_flow import Norms, fading, gradient_flow, gradient_norms
from ml.gradient_report import to_json, to_text, write_plot
from ml.language_model import TokenArray
from ml.models.cells import CELLS
from ml.models.recurrent import RecurrentNetwork
from ml.preset import DropoutRecipe, RecurrentRecipe

Array = NDArray[np.float64]

V, E, H, EOS, K = 11, 5, 6, 10, 8


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def network_of(cell: str, *, context: str, layers: int = 1) -> RecurrentNetwork:
    torch.manual_seed(2)
    recipe = RecurrentRecipe(cell=cell, embedding_size=E, hidden_size=H, layers=layers, tied=False, context=context)
    network = RecurrentNetwork(recipe, vocabulary_size=V, dropout=DropoutRecipe(output=0.5))
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2)  # far enough from zero for a mistake to show
    return network


def posts(number: int, *, seed: int = 3) -> TokenArray:
    random = np.random.default_rng(seed)
    return np.concatenate([[*random.integers(EOS, size=random.integers(1, 14)), EOS] for _ in range(number)])


def weights(network: RecurrentNetwork) -> dict[str, Array]:
    return {name: array.astype(np.float64) for name, array in network.arrays().items()}


def sigmoid(x: Array) -> Array:
    squashed: Array = 1 / (1 + np.exp(-x))
    return squashed


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max())
    shares: Array = powers / powers.sum()
    return shares


def history(tokens: TokenArray, place: int, *, context: str) -> list[int]:
    """What is read, from the initial state on, before the token at this place is predicted."""
    read = [EOS, *tokens[:place].tolist()]
    return read[len(read) - 1 - read[::-1].index(EOS) :] if context == "post" else read


@pytest.mark.parametrize("context", ["post", "stream"])
def test_the_lectures_network_has_the_product_of_its_jacobians(context: str) -> None:
    network = network_of("elman", context=context)
    w = weights(network)
    W_h, W_e, b, U, b_2 = (
        w[name] for name in ("cells.0.recurrent", "cells.0.input", "cells.0.bias", "output", "output_bias")
    )
    tokens = posts(12)
    places = np.arange(K if context == "stream" else 0, len(tokens), 3)
    found, memory = gradient_norms(network, tokens, places, eos=EOS, steps=K)
    assert found.shape == (1, K + 1, len(places))
    assert np.isnan(memory).all()
    for number, place in enumerate(places.tolist()):
        states = [np.zeros(H)]
        for token in history(tokens, place, context=context):
            states.append(sigmoid(W_h @ states[-1] + W_e @ w["embedding"][token] + b))
        # ∂L/∂h_t = U^T (ŷ - one_hot(y)); ∂h_t/∂h_{t-1} = diag(σ'(z_t)) W_h with σ' = h (1 - h)
        slope = U.T @ (softmax(U @ states[-1] + b_2) - np.eye(V)[tokens[place]])
        for k in range(K + 1):
            if k >= len(states) - 1:
                assert np.isnan(found[0, k:, number]).all()
                break
            assert found[0, k, number] == pytest.approx(np.linalg.norm(slope), rel=1e-3, abs=1e-9)
            h = states[len(states) - 1 - k]
            slope = W_h.T @ (h * (1 - h) * slope)


def lstm_step(w: dict[str, Array], x: Array, h: Array, c: Array, *, layer: int = 0) -> tuple[Array, Array, list[Array]]:
    z = w[f"cells.{layer}.input"] @ x + w[f"cells.{layer}.recurrent"] @ h + w[f"cells.{layer}.bias"]
    i, f, g, o = sigmoid(z[:H]), sigmoid(z[H : 2 * H]), np.tanh(z[2 * H : 3 * H]), sigmoid(z[3 * H :])
    new = f * c + i * g
    return o * np.tanh(new), new, [i, f, g, o, c]


def test_a_rectifier_that_begins_by_copying_its_state_neither_fades_nor_explodes() -> None:
    """At the initial weights U is the identity, so that the gradient of each unit that is active stays what it is."""
    torch.manual_seed(4)
    recipe = RecurrentRecipe(cell="elman-relu", embedding_size=E, hidden_size=H, layers=1, tied=False, context="stream")
    network = RecurrentNetwork(recipe, vocabulary_size=V)
    with torch.no_grad():
        network.cells[0].get_parameter("bias").fill_(0.1)  # above what the inputs of N(0, 0.001) can take away
    flow = gradient_flow(network, posts(40), eos=EOS, steps=100)
    assert flow.layers[0].memory == ()
    for at in flow.layers[0].hidden:
        assert at.median == pytest.approx(flow.layers[0].hidden[0].median, rel=1e-5)
    assert fading(flow.layers[0].hidden) == pytest.approx(1, abs=1e-6)
    # Units that are at rest pass nothing on.
    with torch.no_grad():
        network.cells[0].get_parameter("bias").fill_(-0.1)
    flow = gradient_flow(network, posts(40), eos=EOS, steps=5)
    assert [at.median for at in flow.layers[0].hidden[1:]] == [0] * 5


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("layers", [1, 2])
def test_every_cells_gradient_is_the_slope_of_its_cost(cell: str, layers: int) -> None:
    """Finite differences in float64: what is handed on k steps back is changed a little, a number at a time."""
    network = network_of(cell, context="stream", layers=layers)
    tokens, place, steps = posts(5), 12, 3
    read = torch.from_numpy(np.concatenate(([EOS], tokens))[: place + 1])
    network.double()
    network.dtype = torch.float64
    hidden, memory = gradient_norms(network, tokens, np.array([place]), eos=EOS, steps=steps)

    def cost(k: int, layer: int, part: int, nudge: torch.Tensor) -> float:
        """With a part of one layer's state changed k steps back, after the layer above has read it."""
        state = network.initial_state(1)
        for back, token in zip(reversed(range(len(read))), read, strict=True):
            outputs, state = network(token.view(1, 1), state)
            if back == k:
                changed = list(state[layer])
                changed[part] = changed[part] + nudge
                state = (*state[:layer], tuple(changed), *state[layer + 1 :])
        return -float(network.logits(outputs[0]).log_softmax(-1)[0, tokens[place]])

    def slopes(k: int, layer: int, part: int) -> list[float]:
        size = network.initial_state(1)[layer][part].shape[1]
        nudges = 1e-6 * torch.eye(size, dtype=torch.float64)
        return [(cost(k, layer, part, row) - cost(k, layer, part, -row)) / 2e-6 for row in nudges]

    with torch.no_grad():
        for k, layer in product(range(1, steps + 1), range(layers)):
            if layer == layers - 1:  # a lower h goes to the layer above as well: tested for itself below
                wanted = float(np.linalg.norm(slopes(k, layer, 0)))
                assert hidden[layer, k, 0] == pytest.approx(wanted, rel=1e-5, abs=1e-8)
            rest = [
                slope for part in range(1, len(network.initial_state(1)[layer])) for slope in slopes(k, layer, part)
            ]
            wanted = float(np.linalg.norm(rest)) if rest else np.nan
            assert memory[layer, k, 0] == pytest.approx(wanted, rel=1e-5, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("open_gate", [False, True])
def test_an_lstm_has_the_gradient_of_its_equations_taken_back_step_by_step(open_gate: bool) -> None:
    network = network_of("lstm", context="stream")
    w = weights(network)
    if open_gate:  # f = 1: what the cell remembers stays, and so does its gradient
        w["cells.0.bias"][H : 2 * H] = 40.0
        w["cells.0.recurrent"][:] = 0
        network = with_weights(network, w)
    tokens = posts(8)
    places = np.array([20, 33, len(tokens) - 1])
    hidden, memory = gradient_norms(network, tokens, places, eos=EOS, steps=K)
    for number, place in enumerate(places.tolist()):
        h, c = np.zeros(H), np.zeros(H)
        steps = []
        for token in history(tokens, place, context="stream"):
            h, c, gates = lstm_step(w, w["embedding"][token], h, c)
            steps.append((*gates, c))
        d_h = w["output"].T @ (softmax(w["output"] @ h + w["output_bias"]) - np.eye(V)[tokens[place]])
        d_c = np.zeros(H)
        for k in range(K + 1):
            i, f, g, o, before, now = steps[-1 - k]
            assert hidden[0, k, number] == pytest.approx(np.linalg.norm(d_h), rel=2e-3, abs=1e-8)
            # Reported is the derivative by the c that is handed on; what h = o tanh(c) takes of it comes on top.
            assert memory[0, k, number] == pytest.approx(np.linalg.norm(d_c), rel=2e-3, abs=1e-8)
            d_c = d_c + d_h * o * (1 - np.tanh(now) ** 2)
            d_z = np.concatenate(
                [
                    d_c * g * i * (1 - i),
                    d_c * before * f * (1 - f),
                    d_c * i * (1 - g**2),
                    d_h * np.tanh(now) * o * (1 - o),
                ]
            )
            d_h, d_c = w["cells.0.recurrent"].T @ d_z, d_c * f
    if open_gate:
        np.testing.assert_allclose(memory[0, 1:], np.broadcast_to(memory[0, 1], memory[0, 1:].shape), rtol=1e-4)
        assert (hidden[0, 1:] == 0).all()


def with_weights(network: RecurrentNetwork, arrays: dict[str, Array]) -> RecurrentNetwork:
    """The same network with other weights."""
    from ml.models.recurrent_stepper import RecurrentLanguageModel

    return RecurrentNetwork.of(
        RecurrentLanguageModel(
            {name: array.astype(np.float32) for name, array in arrays.items()},
            cell=network.recipe.cell,
            eos=EOS,
            context=network.recipe.context,
        )
    )


def test_a_lower_layer_is_reached_through_time_and_through_the_layers_above() -> None:
    network = network_of("elman", context="stream", layers=2)
    w = weights(network)
    tokens = posts(6)
    place = len(tokens) - 1

    def cost(k: int, layer: int, nudge: Array) -> float:
        """The cost of the token at the place, with h of a layer changed k steps back."""
        read = history(tokens, place, context="stream")
        h = [np.zeros(H), np.zeros(H)]
        for back, token in zip(reversed(range(len(read))), read, strict=True):
            x = w["embedding"][token]
            for number in range(2):
                z = w[f"cells.{number}.input"] @ x + w[f"cells.{number}.recurrent"] @ h[number]
                h[number] = sigmoid(z + w[f"cells.{number}.bias"])
                if (back, number) == (k, layer):
                    h[number] = h[number] + nudge
                x = h[number]
        return float(-np.log(softmax(w["output"] @ x + w["output_bias"])[tokens[place]]))

    found, _ = gradient_norms(network, tokens, np.array([place]), eos=EOS, steps=4)
    tiny = 1e-5
    for layer in range(2):
        for k in range(5):
            slopes = [(cost(k, layer, row) - cost(k, layer, -row)) / (2 * tiny) for row in tiny * np.eye(H)]
            assert found[layer, k, 0] == pytest.approx(np.linalg.norm(slopes), rel=2e-3, abs=1e-7)


def test_how_places_are_read_together_makes_no_difference() -> None:
    for context in ("post", "stream"):
        network, tokens = network_of("lstm", context=context), posts(10)
        places = np.arange(K, len(tokens), 5)
        together, _ = gradient_norms(network, tokens, places, eos=EOS, steps=K)
        for number in range(len(places)):
            alone, _ = gradient_norms(network, tokens, places[number : number + 1], eos=EOS, steps=K)
            np.testing.assert_allclose(alone[:, :, 0], together[:, :, number], rtol=1e-3, atol=1e-8)


def test_in_context_post_no_step_is_counted_beyond_the_posts_beginning() -> None:
    tokens = np.array([1, 2, 3, EOS, 4, EOS] * 10)
    flow = gradient_flow(network_of("elman", context="post"), tokens, eos=EOS, steps=6, places=1000)
    # A post of four tokens has 0, 1, 2 and 3 of them before each, one of two tokens 0 and 1.
    assert [(at.k, at.places) for at in flow.layers[0].hidden] == [(0, 60), (1, 40), (2, 20), (3, 10)]
    assert all(at.median > 0 for at in flow.layers[0].hidden)
    flow = gradient_flow(network_of("elman", context="stream"), tokens, eos=EOS, steps=6, places=1000)
    assert [(at.k, at.places) for at in flow.layers[0].hidden] == [(k, 54) for k in range(7)]


def test_norms_are_summed_up_over_the_places() -> None:
    network, tokens = network_of("lstm", context="stream"), posts(30)
    flow = gradient_flow(network, tokens, eos=EOS, steps=3, places=len(tokens))
    hidden, memory = gradient_norms(network, tokens, np.arange(3, len(tokens)), eos=EOS, steps=3)
    assert [at.k for at in flow.layers[0].hidden] == [0, 1, 2, 3]
    assert [at.k for at in flow.layers[0].memory] == [1, 2, 3]  # what is predicted now is read from h alone
    assert (memory[0, 0] == 0).all()
    for told, values in ((flow.layers[0].hidden, hidden[0]), (flow.layers[0].memory, memory[0])):
        for at in told:
            assert at.places == len(tokens) - 3
            assert at.mean == pytest.approx(values[at.k].mean())
            assert at.median == pytest.approx(np.median(values[at.k]))
            assert at.quantiles == pytest.approx(tuple(np.quantile(values[at.k], [0.05, 0.25, 0.75, 0.95])))


def test_the_network_is_left_as_it_was() -> None:
    network = network_of("lstm", context="post")
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    gradient_flow(network, posts(10), eos=EOS, steps=5)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])
    assert all(weight.grad is None for weight in network.parameters())
    outputs, _ = network(torch.zeros(1, 1, dtype=torch.int64), network.initial_state(1))
    again, _ = network(torch.zeros(1, 1, dtype=torch.int64), network.initial_state(1))
    assert torch.equal(outputs, again)


def falling(factor: float) -> tuple[Norms, ...]:
    return tuple(Norms(k=k, places=1, mean=1, median=3 * factor**k, quantiles=(0, 0, 0, 0)) for k in range(20))


def test_the_factor_of_a_step_is_that_of_a_geometric_series() -> None:
    assert fading(falling(0.7)) == pytest.approx(0.7)
    assert fading(falling(1.2)) == pytest.approx(1.2)
    assert np.isnan(fading(falling(0.7)[:2]))
    assert np.isnan(fading(falling(0.0)))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"steps": 0}, ConfigError),
        ({"steps": 1001}, ConfigError),
        ({"places": 0}, ConfigError),
        ({"seed": -1}, ConfigError),
        ({"steps": 1000}, EvaluationError),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        gradient_flow(network_of("elman", context="stream"), posts(5), eos=EOS, **options)


def test_it_comes_as_json_as_lines_and_as_a_plot_that_is_always_the_same(tmp_path: Path) -> None:
    flow = gradient_flow(network_of("lstm", context="stream", layers=2), posts(30), eos=EOS, steps=K)
    told = json.loads(to_json(flow))
    assert [layer["layer"] for layer in told["layers"]] == [1, 2]
    assert [at["k"] for at in told["layers"][0]["memory"]] == list(range(1, K + 1))
    assert told["layers"][0]["hidden"][2]["median"] == flow.layers[0].hidden[2].median
    lines = to_text(flow)
    for said in ("lstm, context stream", "layer 1, hidden state; ×0.", "layer 2, memory"):
        assert said in lines
    write_plot(flow, tmp_path / "one.svg")
    write_plot(flow, tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn.startswith("<?xml")
    assert drawn == (tmp_path / "two.svg").read_text()


def test_a_plot_that_cannot_be_drawn_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = gradient_flow(network_of("elman", context="stream"), posts(10), eos=EOS, steps=2)
    refused: list[tuple[Callable[[], None], str]] = [
        (lambda: write_plot(flow, tmp_path / "plot.png"), r"Name it \.svg"),
        (lambda: write_plot(flow, tmp_path / "nowhere" / "plot.svg"), "cannot be written"),
    ]
    for draw, said in refused:
        with pytest.raises(ConfigError, match=said):
            draw()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"mynah\[plots\]"):
        write_plot(flow, tmp_path / "plot.svg")
