"""The network that is trained, and its twin that is served in numpy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from ml.errors import ArtifactError
from ml.models.recurrent import RecurrentNetwork
from ml.models.recurrent_stepper import FILE_NAME, RecurrentLanguageModel, RecurrentState
from ml.preset import CELLS, RecurrentRecipe

V, EOS = 17, 16
KINDS = [
    *(pytest.param(cell, 1, 5, False, id=cell) for cell in CELLS if cell != "lstm"),
    *(pytest.param(cell, 2, 7, True, id=f"two tied {cell} layers") for cell in CELLS if cell != "elman"),
    pytest.param("elman", 2, 7, True, id="two tied elman layers"),
    pytest.param("lstm", 1, 7, True, id="lstm, tied through a projection"),
    pytest.param("lstm", 1, 5, True, id="lstm, tied"),
    pytest.param("lstm", 2, 7, False, id="two lstm layers"),
]


def network_of(*, cell: str, layers: int, hidden_size: int, tied: bool, context: str = "stream") -> RecurrentNetwork:
    torch.manual_seed(1)
    recipe = RecurrentRecipe(
        cell=cell, embedding_size=5, hidden_size=hidden_size, layers=layers, tied=tied, context=context
    )
    network = RecurrentNetwork(recipe, vocabulary_size=V)
    with torch.no_grad():
        network.output_bias.normal_()
        for weight in network.parameters():
            # Far enough from zero for a mistake to show; but a rectified state must not grow for ever.
            weight.mul_(0.45 if cell == "elman-relu" else 2)
    return network.eval()


def small_network() -> RecurrentNetwork:
    return network_of(cell="lstm", layers=1, hidden_size=7, tied=True)


def served(network: RecurrentNetwork) -> RecurrentLanguageModel:
    recipe = network.recipe
    return RecurrentLanguageModel(network.arrays(), cell=recipe.cell, eos=EOS, context=recipe.context)


def stream(length: int, *, seed: int = 2) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(V, size=length)


@pytest.mark.parametrize(("cell", "layers", "hidden_size", "tied"), KINDS)
def test_served_steps_are_the_trained_networks(cell: str, layers: int, hidden_size: int, tied: bool) -> None:
    network = network_of(cell=cell, layers=layers, hidden_size=hidden_size, tied=tied)
    model = served(network)
    tokens = stream(30).reshape(10, 3)
    with torch.no_grad():
        outputs, _ = network(torch.from_numpy(tokens), network.initial_state(3))
        logits = network.logits(outputs)
    expected = logits.log_softmax(-1).numpy()
    state = model.initial_state(3)
    for t, row in enumerate(tokens):
        log_probs, state = model.step(row, state)
        assert log_probs.dtype == np.float32
        np.testing.assert_allclose(log_probs, expected[t], atol=2e-5)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("cell", "layers", "hidden_size", "tied"), KINDS)
def test_a_score_is_its_steps_one_after_the_other(cell: str, layers: int, hidden_size: int, tied: bool) -> None:
    model = served(network_of(cell=cell, layers=layers, hidden_size=hidden_size, tied=tied))
    tokens = stream(300)  # longer than what is turned into distributions at once
    expected = []
    log_probs, state = model.step(np.array([EOS]), model.initial_state(1))
    for token in tokens:
        expected.append(log_probs[0, token])
        log_probs, state = model.step(np.array([token]), state)
    np.testing.assert_allclose(model.score(tokens), expected, atol=2e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_with_context_post_each_post_costs_what_it_costs_alone(cell: str) -> None:
    model = served(network_of(cell=cell, layers=2, hidden_size=7, tied=True, context="post"))
    random = np.random.default_rng(4)
    posts = [np.append(random.integers(EOS, size=random.integers(30)), EOS) for _ in range(200)]
    posts.append(np.array([3, 5]))  # cut short, as a prompt is
    alone = np.concatenate([model.score(post) for post in posts])
    np.testing.assert_allclose(model.score(np.concatenate(posts)), alone, atol=2e-5)


@pytest.mark.parametrize("context", ["post", "stream"])
def test_a_score_is_its_steps_in_either_context(context: str) -> None:
    model = served(network_of(cell="qrnn", layers=2, hidden_size=7, tied=True, context=context))
    tokens = np.where(stream(400) % 7 == 0, EOS, stream(400))
    log_probs, state = model.step(np.array([EOS]), model.initial_state(1))
    expected = []
    for token in tokens:
        expected.append(log_probs[0, token])
        log_probs, state = model.step(np.array([token]), state)
    np.testing.assert_allclose(model.score(tokens), expected, atol=2e-5)


@pytest.mark.parametrize("context", ["post", "stream"])
def test_outputs_read_from_a_stream_give_its_score(context: str) -> None:
    model = served(network_of(cell="lstm", layers=2, hidden_size=7, tied=True, context=context))
    tokens = np.where(stream(90) % 7 == 0, EOS, stream(90))
    log_probs = model.log_probabilities(model.read(tokens))
    np.testing.assert_allclose(log_probs[np.arange(90), tokens], model.score(tokens), atol=2e-5)
    _, state = model.step(np.array([EOS]), model.initial_state(1))
    np.testing.assert_allclose(state.outputs, model.read(tokens)[:1], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_the_network_of_a_served_model_is_the_one_it_came_from(cell: str) -> None:
    network = network_of(cell=cell, layers=2, hidden_size=7, tied=cell != "gru", context="post")
    again = RecurrentNetwork.of(served(network))
    assert again.recipe == network.recipe
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_nothing_has_no_score() -> None:
    assert served(small_network()).score(np.array([], dtype=np.int64)).shape == (0,)


def test_rows_taken_and_joined_go_on_as_if_alone() -> None:
    model = served(small_network())
    _, state = model.step(stream(4), model.initial_state(4))
    alone = [model.step(np.array([3]), state.take(np.array([row])))[0][0] for row in range(4)]
    mixed = RecurrentState.join([state.take(np.array([2, 0])), state.take(np.array([0, 3]))])
    together, _ = model.step(np.array([3, 3, 3, 3]), mixed)
    for log_probs, row in zip(together, (2, 0, 0, 3), strict=True):
        np.testing.assert_allclose(log_probs, alone[row], atol=1e-6)


def test_a_step_leaves_the_state_that_it_was_given() -> None:
    model = served(small_network())
    _, state = model.step(stream(3), model.initial_state(3))
    before = [part.copy() for part in state.layers[0]]
    model.step(stream(3, seed=3), state)
    for part, kept in zip(state.layers[0], before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_very_large_weights_overflow_nowhere() -> None:
    network = small_network()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1e4)
    log_probs, _ = served(network).step(stream(3), served(network).initial_state(3))
    assert np.isfinite(log_probs).all()


def test_a_saved_model_is_the_model(tmp_path: Path) -> None:
    model = served(small_network())
    model.save(tmp_path)
    again = RecurrentLanguageModel.load(tmp_path)
    assert again.parameters == model.parameters
    np.testing.assert_array_equal(again.score(stream(20)), model.score(stream(20)))


def test_parameters_are_the_networks() -> None:
    network = small_network()
    assert served(network).parameters == sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("embedding", lambda array: array[:-1]),
        ("cells.0.recurrent", lambda array: array[:, :-1]),
        ("cells.0.input", lambda array: array[:-4]),
        ("projection", lambda array: array.astype(np.float64)),
        ("output_bias", lambda array: array * np.float32(np.nan)),
    ],
)
def test_weights_that_do_not_fit_together_are_refused(tmp_path: Path, name: str, spoil: object) -> None:
    assert callable(spoil)
    served(small_network()).save(tmp_path)
    arrays = load_file(tmp_path / FILE_NAME)
    arrays[name] = np.ascontiguousarray(spoil(arrays[name]))
    save_file(
        arrays,
        tmp_path / FILE_NAME,
        metadata={"format": "2", "cell": "lstm", "eos": str(EOS), "context": "post", "temperature": "1.0"},
    )
    with pytest.raises(ArtifactError, match="holds no recurrent model"):
        RecurrentLanguageModel.load(tmp_path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    served(small_network()).save(tmp_path)
    file = tmp_path / FILE_NAME
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ArtifactError):
        RecurrentLanguageModel.load(tmp_path)


@pytest.mark.parametrize(
    ("size", "layers", "tied", "published_millions"),
    [
        pytest.param(200, 2, False, 4.6, id="small, Zaremba et al. 2014"),
        pytest.param(650, 2, False, 19.8, id="medium, Zaremba et al. 2014"),
        pytest.param(1500, 2, False, 66.0, id="large, Zaremba et al. 2014"),
        pytest.param(1500, 2, True, 51.0, id="large and tied, Press & Wolf 2016"),
    ],
)
def test_published_networks_have_their_published_numbers_of_parameters(
    size: int, layers: int, tied: bool, published_millions: float
) -> None:
    recipe = RecurrentRecipe(
        cell="lstm", embedding_size=size, hidden_size=size, layers=layers, tied=tied, context="stream"
    )
    with torch.device("meta"):  # shapes alone
        network = RecurrentNetwork(recipe, vocabulary_size=10_000)
    millions = sum(weight.numel() for weight in network.parameters()) / 1e6
    assert millions == pytest.approx(published_millions, abs=0.06)


def test_tied_weights_are_one_matrix() -> None:
    assert not any(
        name.startswith("output") and weight.ndim == 2 for name, weight in small_network().named_parameters()
    )
    assert "output" not in small_network().arrays()


def test_serving_does_not_import_torch() -> None:
    program = "import sys, ml.artifact, ml.sampling.engine, ml.preset; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
