"""The naive loop says what the served model says, one token at a time."""

import math

import numpy as np
import pytest
import torch

from ml.bench.peers.naive_loop import network_of, speak
from ml.errors import ConfigError
from ml.models.recurrent import RecurrentNetwork
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.preset import RecurrentRecipe

V, EOS = 11, 0


def served(cell: str = "lstm", *, layers: int = 2, tied: bool = True) -> RecurrentLanguageModel:
    torch.manual_seed(3)
    recipe = RecurrentRecipe(cell=cell, embedding_size=5, hidden_size=7, layers=layers, tied=tied, context="post")
    arrays = RecurrentNetwork(recipe, vocabulary_size=V).arrays()
    return RecurrentLanguageModel(arrays, cell=cell, eos=EOS, context="post")


@pytest.mark.parametrize(("layers", "tied"), [(1, True), (2, True), (1, False)])
def test_it_has_the_distribution_of_the_model_whose_weights_it_has(layers: int, tied: bool) -> None:
    model = served(layers=layers, tied=tied)
    network = network_of(model)
    tokens = [EOS, 4, 9, 1]
    with torch.no_grad():
        logits, _ = network(torch.tensor(tokens).unsqueeze(1), None)
    state = model.initial_state(1)
    for place, token in enumerate(tokens):
        expected, state = model.step(np.array([token]), state)
        theirs = torch.log_softmax(logits[place], dim=-1).numpy()
        np.testing.assert_allclose(theirs, expected, atol=1e-5)


def test_it_says_as_many_tokens_as_asked_for_by_their_probabilities() -> None:
    network = network_of(served())
    torch.manual_seed(1)
    count = 2000
    first = np.bincount([speak(network, eos=EOS, tokens=1, temperature=0.5)[0] for _ in range(count)], minlength=V)
    with torch.no_grad():
        logits, _ = network(torch.tensor([[EOS]]), None)
    expected = torch.softmax(logits[0, 0] / 0.5, dim=-1).numpy() * count
    chi_square = float(((first - expected) ** 2 / expected).sum())
    assert chi_square < V - 1 + 5 * math.sqrt(2 * (V - 1))
    assert len(speak(network, eos=EOS, tokens=20, temperature=1.0)) == 20


def test_a_model_of_another_cell_has_no_loop_over_nn_lstm() -> None:
    with pytest.raises(ConfigError, match="cell is gru"):
        network_of(served("gru"))
