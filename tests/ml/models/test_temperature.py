"""The temperature of a softmax: what it does to a distribution, and that the best one is found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ml.errors import ArtifactError
from ml.models.recurrent import RecurrentNetwork
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.models.temperature import TEMPERATURES, tempered_scores, with_best_temperature
from ml.preset import RecurrentRecipe

V, EOS = 12, 11


@pytest.fixture
def model() -> RecurrentLanguageModel:
    torch.manual_seed(1)
    recipe = RecurrentRecipe(cell="lstm", embedding_size=5, hidden_size=7, layers=1, tied=True, context="post")
    network = RecurrentNetwork(recipe, vocabulary_size=V)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
    return RecurrentLanguageModel(network.arrays(), cell="lstm", eos=EOS, context="post")


def drawn_from(model: RecurrentLanguageModel, length: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A stream that the model itself says."""
    random = np.random.default_rng(3)
    tokens = []
    log_probs, state = model.step(np.array([EOS]), model.initial_state(1))
    for _ in range(length):
        probabilities = np.exp(log_probs[0].astype(np.float64))
        tokens.append(int(random.choice(V, p=probabilities / probabilities.sum())))
        log_probs, state = model.step(np.array([tokens[-1]]), state)
    return np.array(tokens)


def test_a_tempered_distribution_is_the_power_of_the_other_one(model: RecurrentLanguageModel) -> None:
    before, _ = model.step(np.array([EOS, 3]), model.initial_state(2))
    after, _ = model.with_temperature(0.8).step(np.array([EOS, 3]), model.initial_state(2))
    powers = np.exp(before.astype(np.float64)) ** (1 / 0.8)
    np.testing.assert_allclose(np.exp(after), powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)


def test_scores_at_many_temperatures_are_those_of_models_with_each(model: RecurrentLanguageModel) -> None:
    tokens = drawn_from(model, 400)
    for temperature, scores in zip((0.7, 1.0, 1.2), tempered_scores(model, tokens, (0.7, 1.0, 1.2)), strict=True):
        np.testing.assert_allclose(scores, model.with_temperature(temperature).score(tokens), atol=1e-4)


@pytest.mark.parametrize("true", [0.78, 1.22])
def test_the_temperature_at_which_posts_were_said_is_found(model: RecurrentLanguageModel, true: float) -> None:
    tokens = drawn_from(model.with_temperature(true), 3000)
    assert with_best_temperature(model, tokens).temperature == pytest.approx(true, abs=0.081)


def test_beside_another_model_the_best_is_the_mixtures_best(model: RecurrentLanguageModel) -> None:
    tokens = drawn_from(model, 500)
    # Another model, which knows half of the tokens well.
    other = np.log(np.random.default_rng(4).choice([0.9, 0.01], size=500)).astype(np.float32)
    chosen = with_best_temperature(model, tokens, beside=[other])

    def best_with(temperature: float) -> float:
        own = model.with_temperature(temperature).score(tokens)
        return max(float(np.log(w * np.exp(own) + (1 - w) * np.exp(other)).sum()) for w in np.linspace(0, 1, 101))

    assert chosen.temperature == max(TEMPERATURES, key=best_with)
    assert chosen.temperature != with_best_temperature(model, tokens).temperature


def test_the_trainable_network_has_the_temperature_too_and_so_has_a_saved_model(
    model: RecurrentLanguageModel, tmp_path: Path
) -> None:
    warm = model.with_temperature(1.14)
    network = RecurrentNetwork.of(warm)
    with torch.no_grad():
        outputs, _ = network(torch.tensor([[EOS]]), network.initial_state(1))
        logits = network.logits(outputs)[0]
    expected, _ = warm.step(np.array([EOS]), warm.initial_state(1))
    np.testing.assert_allclose(logits.log_softmax(-1).numpy(), expected, atol=1e-5)
    warm.save(tmp_path)
    assert RecurrentLanguageModel.load(tmp_path).temperature == 1.14
    with pytest.raises(ValueError, match="temperature"):
        model.with_temperature(0.0)
    with pytest.raises(ArtifactError):
        RecurrentLanguageModel.load(tmp_path / "nowhere")
