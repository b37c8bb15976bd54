import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ml.bench.peers import plain_lstm
from ml.bench.peers.plain_lstm import PlainLstm
from ml.bench.row import score_of
from ml.language_model import TokenArray
from ml.preset import RecurrentRecipe

EOS, V = 1, 11
Numbers = NDArray[np.float64]


def network(*, tied: bool, layers: int = 1) -> PlainLstm:
    torch.manual_seed(3)
    recipe = RecurrentRecipe(cell="lstm", embedding_size=5, hidden_size=7, layers=layers, tied=tied, context="stream")
    return PlainLstm(recipe, vocabulary_size=V)


def sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def nats_by_hand(model: PlainLstm, stream: TokenArray, *, tied: bool) -> float:
    """The equations of Hochreiter & Schmidhuber with forget gates, a token at a time, in float64."""
    weights = {name: value.detach().double().numpy() for name, value in model.state_dict().items()}
    h, c = np.zeros(7), np.zeros(7)
    nats, previous = 0.0, EOS
    for token in stream.tolist():
        x = weights["embedding.weight"][previous]
        gates = weights["lstm.weight_ih_l0"] @ x + weights["lstm.bias_ih_l0"]
        gates += weights["lstm.weight_hh_l0"] @ h + weights["lstm.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        top = weights["projection.weight"] @ h if tied else h
        logits = weights["output.weight"] @ top + weights["output.bias"]
        nats -= logits[token] - math.log(np.exp(logits).sum())
        previous = token
    return nats


@pytest.mark.parametrize("tied", [True, False])
def test_its_perplexity_is_that_of_the_equations(tied: bool) -> None:
    model = network(tied=tied)
    # Longer than a window, so that the state has to be carried from one to the next.
    stream = np.append(np.random.default_rng(1).integers(0, V, plain_lstm.SCORED_WINDOW + 50), EOS)
    score = score_of(plain_lstm.score(model, stream, eos=EOS), ("a post",))
    assert (score.tokens, score.bytes) == (len(stream), 7)
    assert score.perplexity == pytest.approx(math.exp(nats_by_hand(model, stream, tied=tied) / len(stream)), rel=1e-5)
    assert model.training is False


def test_tied_weights_are_counted_once() -> None:
    lstm = 4 * 7 * (5 + 7) + 2 * 4 * 7
    counted = {tied: sum(weight.numel() for weight in network(tied=tied).parameters()) for tied in (True, False)}
    assert counted == {True: V * 5 + lstm + 5 * 7 + V, False: V * 5 + lstm + V * 7 + V}


def test_columns_are_read_side_by_side_and_each_token_is_predicted_from_the_one_before() -> None:
    stream = np.array([2, 3, 4, 5, 6, 7, 8])
    (first, first_targets), (last, last_targets) = plain_lstm.windows(stream, columns=2, window=2, eos=EOS)
    assert first.tolist() == [[EOS, 4], [2, 5]]
    assert first_targets.tolist() == [[2, 5], [3, 6]]
    assert (last.tolist(), last_targets.tolist()) == ([[3, 6]], [[4, 7]])


def test_training_makes_the_posts_cheaper() -> None:
    stream = np.tile(np.array([2, 3, 4, EOS]), 30)
    model = network(tied=True, layers=2)
    before = plain_lstm.validation_perplexity(model, stream, eos=EOS)
    done = plain_lstm.fit(model, stream, stream, minutes=0.005, eos=EOS)
    assert plain_lstm.validation_perplexity(model, stream, eos=EOS) < before
    assert done.tokens >= len(stream)


def test_training_keeps_the_weights_that_were_best_on_validation() -> None:
    # Tokens that are never trained on: the longer it trains, the dearer they get.
    train, valid = np.tile(np.array([2, 3, 4, EOS]), 30), np.tile(np.array([5, 6, 7]), 30)
    model = network(tied=False)
    done = plain_lstm.fit(model, train, valid, minutes=0.02, eos=EOS)
    best = min(perplexity for _, perplexity in done.curve)
    assert plain_lstm.validation_perplexity(model, valid, eos=EOS) == pytest.approx(best)
    seconds = [at for at, _ in done.curve]
    assert seconds == sorted(seconds)
