"""The mixture: a distribution like any other, with the weights that a search of all weights finds."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.errors import ArtifactError, CorpusTooSmall
from ml.language_model import FloatArray, StoredModel
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.models.mixture import FILE_NAME, Mixture, best_weights
from tests.ml.models.contract import check_distributions, check_rows
from tests.ml.models.languages import EOS, V, random_tokens, recurrent_model

TRAIN, HELD_OUT, TEST = (random_tokens(seed, posts=posts) for seed, posts in ((1, 60), (2, 30), (3, 15)))


def kneser_ney(order: int = 3) -> KneserNey:
    return KneserNey.fit(TRAIN, order=order, vocabulary_size=V, eos=EOS)


def maximum_likelihood(order: int = 3) -> MaximumLikelihood:
    return MaximumLikelihood.fit(TRAIN, order=order, vocabulary_size=V, eos=EOS)


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture.fit({"recurrent": recurrent_model(), "kneser-ney": kneser_ney()}, HELD_OUT)


@pytest.fixture(scope="module")
def nested() -> Mixture:
    """Mixtures in a mixture, with two models of one family and one that rules things out."""
    inner = Mixture({"short": kneser_ney(2), "counts": maximum_likelihood()}, np.array([0.25, 0.75]))
    outer: dict[str, StoredModel] = {"ngrams": inner, "long": kneser_ney(5), "network": recurrent_model()}
    return Mixture(outer, np.array([0.5, 0.3, 0.2]))


@pytest.mark.parametrize("kind", ["mixture", "nested"])
def test_its_distribution_sums_to_one_and_agrees_with_its_score(kind: str, request: pytest.FixtureRequest) -> None:
    check_distributions(request.getfixturevalue(kind), TEST)


@pytest.mark.parametrize("kind", ["mixture", "nested"])
def test_a_row_is_the_same_alone_and_in_a_batch_whose_rows_are_taken_and_joined(
    kind: str, request: pytest.FixtureRequest
) -> None:
    check_rows(request.getfixturevalue(kind), HELD_OUT[:80].reshape(4, 20), atol=2e-5)


def test_a_token_has_the_weighted_mean_of_its_probabilities(nested: Mixture) -> None:
    models = ((0.125, kneser_ney(2)), (0.375, maximum_likelihood()), (0.3, kneser_ney(5)), (0.2, recurrent_model()))
    wanted = sum(weight * np.exp(model.score(TEST).astype(np.float64)) for weight, model in models)
    np.testing.assert_allclose(np.exp(nested.score(TEST)), wanted, rtol=1e-4)
    assert nested.parameters == sum(model.parameters for _, model in models)


def likelihood(weights: NDArray[np.float64], log_probs: FloatArray) -> NDArray[np.float64]:
    """Mean log-likelihood of every row of weights: [G, M], [M, T] → [G]."""
    means: NDArray[np.float64] = np.log(weights @ np.exp(log_probs.astype(np.float64))).mean(axis=1)
    return means


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_of_two_models_are_those_that_a_grid_finds(seed: int) -> None:
    log_probs = np.log(np.random.default_rng(seed).beta(0.5, 2, size=(2, 400))).astype(np.float32)
    first = np.linspace(0, 1, 2001)[1:-1]
    grid = np.stack([first, 1 - first], axis=1)
    found, values = best_weights(log_probs), likelihood(grid, log_probs)
    assert found[0] == pytest.approx(first[int(np.argmax(values))], abs=1e-3)
    assert likelihood(found[np.newaxis], log_probs)[0] >= values.max() - 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_of_three_models_are_those_that_a_grid_finds(seed: int) -> None:
    source = np.random.default_rng(seed)
    log_probs = np.log(source.beta([[0.5], [0.4], [0.6]], 2, size=(3, 300))).astype(np.float32)
    first, second = (axis.ravel() for axis in np.meshgrid(*(np.linspace(0, 1, 101)[1:-1],) * 2))
    grid = np.stack([first, second, 1 - first - second], axis=1)[first + second < 0.999]
    found, values = best_weights(log_probs), likelihood(grid, log_probs)
    np.testing.assert_allclose(found, grid[int(np.argmax(values))], atol=0.011)
    assert likelihood(found[np.newaxis], log_probs)[0] >= values.max()


def test_a_useless_model_gets_no_weight() -> None:
    good = np.log(np.random.default_rng(1).beta(2, 5, size=500)).astype(np.float32)
    for useless in (good - 5, np.full(500, -60, dtype=np.float32), np.full(500, -np.inf, dtype=np.float32)):
        weights = best_weights(np.stack([good, useless]))
        np.testing.assert_allclose(weights, [1, 0], atol=1e-6)


def test_a_model_without_weight_adds_nothing_even_where_the_other_rules_out() -> None:
    counts = maximum_likelihood()
    alone = Mixture({"counts": counts, "smooth": kneser_ney()}, np.array([1.0, 0.0]))
    assert np.isinf(counts.score(TEST)).any()
    np.testing.assert_array_equal(alone.score(TEST), counts.score(TEST))
    check_distributions(alone, TEST)


def test_models_that_rule_things_out_get_the_weights_that_a_grid_finds() -> None:
    """What one rules out the other pays for; what both rule out says nothing of their weights."""
    source = np.random.default_rng(2)
    log_probs = np.log(source.beta(0.5, 2, size=(2, 400))).astype(np.float32)
    log_probs[0, source.random(400) < 0.3] = -np.inf
    log_probs[1, source.random(400) < 0.1] = -np.inf
    told = np.isfinite(log_probs).any(axis=0)
    assert not told.all()
    first = np.linspace(0, 1, 2001)[1:-1]
    values = likelihood(np.stack([first, 1 - first], axis=1), log_probs[:, told])
    assert best_weights(log_probs)[0] == pytest.approx(first[int(np.argmax(values))], abs=1e-3)


def test_models_that_rule_out_everything_share_the_weight_and_say_so() -> None:
    nothing = MaximumLikelihood.fit(np.array([EOS]), order=1, vocabulary_size=V, eos=EOS)
    both = Mixture.fit({"a": nothing, "b": nothing}, np.array([3, 3, 3]))
    assert both.weights == {"a": 0.5, "b": 0.5}
    np.testing.assert_array_equal(both.score(np.array([3, EOS])), [-math.inf, 0])


def test_on_the_posts_of_its_weights_it_is_no_worse_than_its_best_component(mixture: Mixture) -> None:
    best = max(float(model.score(HELD_OUT).sum()) for model in (recurrent_model(), kneser_ney()))
    assert float(mixture.score(HELD_OUT).sum()) >= best - 1e-3


def test_weights_cannot_be_fitted_on_nothing() -> None:
    with pytest.raises(CorpusTooSmall):
        Mixture.fit({"a": kneser_ney(), "b": kneser_ney(2)}, HELD_OUT[:0])


@pytest.mark.parametrize("kind", ["mixture", "nested"])
def test_a_saved_mixture_comes_back(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    saved = request.getfixturevalue(kind)
    saved.save(tmp_path)
    loaded = Mixture.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(TEST), saved.score(TEST))
    assert (loaded.weights, loaded.parameters) == (saved.weights, saved.parameters)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a.b", "-", "x" * 41])
def test_a_component_is_named_like_a_folder(name: str) -> None:
    models: dict[str, StoredModel] = {name: kneser_ney()}
    with pytest.raises(ValueError, match="no name"):
        Mixture(models, np.array([1.0]))


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "weights that do not sum to one": lambda described: described["components"][0].update(weight=0.9),
    "a weight that is no number": lambda described: described["components"][0].update(weight="most"),
    "NaN for a weight": lambda described: described["components"][0].update(weight=math.nan),
    "no weight": lambda described: described["components"][0].pop("weight"),
    "an unknown family": lambda described: described["components"][0].update(family="gpt"),
    "a family that is a list": lambda described: described["components"][0].update(family=[]),
    "the wrong family": lambda described: described["components"][0].update(family="mixture"),
    "a folder that is not there": lambda described: described["components"][0].update(name="elsewhere"),
    "a way out": lambda described: described["components"][0].update(name="../kneser-ney"),
    "a name twice": lambda described: described["components"][0].update(described["components"][1]),
    "no components": lambda described: described.update(components=[]),
    "components that are none": lambda described: described.update(components=3),
    "another format": lambda described: described.update(format=3),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_mixture_that_lies_is_refused(mixture: Mixture, tmp_path: Path, lie: str) -> None:
    mixture.save(tmp_path)
    described = json.loads((tmp_path / FILE_NAME).read_text())
    LIES[lie](described)
    (tmp_path / FILE_NAME).write_text(json.dumps(described))
    with pytest.raises(ArtifactError):
        Mixture.load(tmp_path)


def test_components_over_different_tokens_are_refused(mixture: Mixture, tmp_path: Path) -> None:
    mixture.save(tmp_path)
    KneserNey.fit(TRAIN, order=3, vocabulary_size=V + 1, eos=EOS).save(tmp_path / "kneser-ney")
    with pytest.raises(ArtifactError, match="do not fit together"):
        Mixture.load(tmp_path)


def test_a_mixture_of_the_first_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"weights": {"recurrent": 0.5, "kneser-ney": 0.5}}))
    with pytest.raises(ArtifactError, match=r"format None; this version reads format 2\. Train the model again"):
        Mixture.load(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null", "[" * 100_000])
def test_a_file_that_is_no_mixture_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(ArtifactError):
        Mixture.load(tmp_path)
