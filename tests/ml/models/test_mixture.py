"""The mixture: a distribution like any other, with the weights that a search of all weights finds."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml.errors import ArtifactError
from ml.language_model import TokenArray
from ml.models.kneser_ney import KneserNey
from ml.models.mixture import FILE_NAME, Mixture, best_weights
from ml.models.recurrent_stepper import RecurrentLanguageModel

V, E, H, EOS = 12, 5, 7, 11


def stream(posts: int, *, seed: int) -> TokenArray:
    """Posts of a language with some order in it: a token is mostly followed by the next one."""
    noise = np.random.default_rng(seed)
    tokens: list[int] = []
    for _ in range(posts):
        at = int(noise.integers(EOS))
        for _ in range(int(noise.integers(2, 8))):
            at = (at + 1) % EOS if noise.random() < 0.7 else int(noise.integers(EOS))
            tokens.append(at)
        tokens.append(EOS)
    return np.array(tokens, dtype=np.int64)


def recurrent(seed: int = 0) -> RecurrentLanguageModel:
    noise = np.random.default_rng(seed)
    shapes = {
        "embedding": (V, E),
        "output_bias": (V,),
        "projection": (E, H),
        "cells.0.input": (4 * H, E),
        "cells.0.recurrent": (4 * H, H),
        "cells.0.bias": (4 * H,),
    }
    arrays = {name: noise.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return RecurrentLanguageModel(arrays, cell="lstm", eos=EOS, context="post")


@pytest.fixture
def mixture() -> Mixture:
    ngrams = KneserNey.fit(stream(80, seed=1), order=3, vocabulary_size=V, eos=EOS)
    return Mixture.fit({"recurrent": recurrent(), "kneser-ney": ngrams}, stream(30, seed=2))


def test_its_distribution_sums_to_one_and_agrees_with_its_score(mixture: Mixture) -> None:
    tokens = stream(10, seed=3)
    state = mixture.initial_state(1)
    stepped = []
    for read, wanted in zip([EOS, *tokens[:-1]], tokens, strict=True):
        log_probs, state = mixture.step(np.array([read]), state)
        assert np.exp(log_probs.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
        stepped.append(log_probs[0, wanted])
    np.testing.assert_allclose(mixture.score(tokens), stepped, rtol=1e-4, atol=1e-5)


def test_a_token_has_the_weighted_mean_of_its_probabilities(mixture: Mixture) -> None:
    tokens = stream(5, seed=4)
    ngrams = KneserNey.fit(stream(80, seed=1), order=3, vocabulary_size=V, eos=EOS)
    weights = mixture.weights
    wanted = weights["recurrent"] * np.exp(recurrent().score(tokens)) + weights["kneser-ney"] * np.exp(
        ngrams.score(tokens)
    )
    np.testing.assert_allclose(np.exp(mixture.score(tokens)), wanted, rtol=1e-4)


def test_the_weights_are_those_that_a_grid_finds() -> None:
    noise = np.random.default_rng(5)
    for _ in range(5):
        log_probs = np.log(noise.beta(0.5, 2, size=(2, 400))).astype(np.float32)
        grid = np.linspace(0, 1, 2001)[1:-1]
        likelihood = [np.log(w * np.exp(log_probs[0]) + (1 - w) * np.exp(log_probs[1])).sum() for w in grid]
        assert best_weights(log_probs)[0] == pytest.approx(grid[int(np.argmax(likelihood))], abs=2e-3)


def test_on_the_posts_of_its_weights_it_is_no_worse_than_its_best_component(mixture: Mixture) -> None:
    tokens = stream(30, seed=2)
    ngrams = KneserNey.fit(stream(80, seed=1), order=3, vocabulary_size=V, eos=EOS)
    best = max(float(model.score(tokens).sum()) for model in (recurrent(), ngrams))
    assert float(mixture.score(tokens).sum()) >= best - 1e-3


def test_rows_of_a_state_can_be_taken_and_joined(mixture: Mixture) -> None:
    _, state = mixture.step(np.array([EOS, 3, 4]), mixture.initial_state(3))
    apart = [state.take(np.array([row])) for row in (2, 0)]
    together, _ = mixture.step(np.array([5, 6]), type(state).join(apart))
    alone = [mixture.step(np.array([token]), part)[0][0] for token, part in zip((5, 6), apart, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_a_saved_mixture_comes_back(mixture: Mixture, tmp_path: Path) -> None:
    mixture.save(tmp_path)
    loaded = Mixture.load(tmp_path)
    tokens = stream(5, seed=6)
    np.testing.assert_array_equal(loaded.score(tokens), mixture.score(tokens))
    assert (loaded.weights, loaded.parameters) == (mixture.weights, mixture.parameters)


@pytest.mark.parametrize(
    "weights",
    [
        {"recurrent": 0.5, "kneser-ney": 0.6},
        {"recurrent": float("nan"), "kneser-ney": 0.5},
        {"recurrent": 1.0, "gpt": 0.0},
        {},
        None,
    ],
)
def test_a_mixture_that_lies_about_its_weights_is_refused(mixture: Mixture, tmp_path: Path, weights: object) -> None:
    mixture.save(tmp_path)
    (tmp_path / FILE_NAME).write_text(json.dumps({"weights": weights}))
    with pytest.raises(ArtifactError, match="mixture"):
        Mixture.load(tmp_path)
