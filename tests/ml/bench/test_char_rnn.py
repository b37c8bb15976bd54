import math

import numpy as np
import pytest
import torch

from ml.bench.peers import char_rnn
from ml.bench.peers.char_rnn import MARK, NOTHING, RARE, WINDOW, CharRnn, Windows

VOCABULARY = {"a": 3, "b": 4}


def test_a_character_is_predicted_from_those_before_it_in_its_post() -> None:
    windows = Windows.of(("ab", "", "z"), VOCABULARY)
    inputs, targets = windows.batch(np.arange(len(windows.places)))
    empty = [NOTHING] * WINDOW
    expected = [([MARK], 3), ([MARK, 3], 4), ([MARK, 3, 4], MARK), ([MARK], MARK), ([MARK], RARE), ([MARK, RARE], MARK)]
    assert targets.tolist() == [target for _, target in expected]
    assert inputs.tolist() == [(empty + read)[-WINDOW:] for read, _ in expected]


def test_no_more_than_the_window_is_read() -> None:
    windows = Windows.of(("b" + "a" * WINDOW,), VOCABULARY)
    inputs, _ = windows.batch(np.array([WINDOW, WINDOW + 1]))
    assert inputs.tolist() == [[4, *[3] * (WINDOW - 1)], [3] * WINDOW]


def test_the_vocabulary_holds_what_is_seen_twice() -> None:
    assert char_rnn.learn_vocabulary(("abba", "cab")) == {"a": 3, "b": 4}


def test_attention_without_preference_is_the_mean_of_all_places() -> None:
    torch.manual_seed(1)
    network = CharRnn(vocabulary_size=5)
    torch.nn.init.zeros_(network.attention.weight)
    windows = torch.randint(0, 5, (2, WINDOW))
    embedded = network.embedding(windows)
    first = network.first(embedded)[0]
    places = torch.cat([embedded, first, network.second(first)[0]], dim=2)
    torch.testing.assert_close(network(windows), network.output(places.mean(dim=1)))


def test_a_character_that_was_never_seen_costs_an_escape_and_its_code_point() -> None:
    network = CharRnn(vocabulary_size=5)
    windows = Windows.of(("z",), VOCABULARY)
    inputs, _ = windows.batch(np.array([0, 1]))
    with torch.no_grad():
        log_probabilities = torch.log_softmax(network(inputs), dim=1)
    escape, end = char_rnn.score(network, windows).tolist()
    assert escape == pytest.approx(log_probabilities[0, RARE].item() - math.log(1_114_112), rel=1e-5)
    assert end == pytest.approx(log_probabilities[1, MARK].item(), rel=1e-5)


def test_training_makes_the_posts_cheaper() -> None:
    torch.manual_seed(1)
    network = CharRnn(vocabulary_size=5)
    windows = Windows.of(("abab",) * 40, VOCABULARY)
    before = char_rnn.score(network, windows).sum()
    read, seconds = char_rnn.fit(network, windows, minutes=0.01, seed=1)
    assert char_rnn.score(network, windows).sum() > before
    assert read >= char_rnn.BATCH
    assert seconds > 0
