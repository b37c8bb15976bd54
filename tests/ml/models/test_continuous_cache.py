"""The continuous cache: its equation worked out place by place, a distribution at every step, fitted as by search."""

import json
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.errors import ArtifactError, CorpusTooSmall
from ml.language_model import TokenArray
from ml.models.continuous_cache import FILE_NAME, LENGTHS, SHARPNESSES, ContinuousCache
from ml.models.kneser_ney import KneserNey
from ml.models.mixture import Mixture
from tests.ml.models.contract import check_distributions, check_rows
from tests.ml.models.languages import EOS, V, random_tokens, read_one_by_one, recurrent_model

TEST = random_tokens(3, posts=40)


def cache(*, weight: float = 0.3, sharpness: float = 0.7, length: int = 9, context: str = "post") -> ContinuousCache:
    return ContinuousCache(recurrent_model(context=context), weight=weight, sharpness=sharpness, length=length)


def outputs_one_by_one(tokens: TokenArray, *, context: str) -> NDArray[np.float64]:
    """[T, H]: the outputs from which each token is predicted, read step by step."""
    model = recurrent_model(context=context)
    state, found = model.initial_state(1), []
    for read in [EOS, *tokens[:-1].tolist()]:
        _, state = model.step(np.array([read]), state)
        found.append(state.outputs[0])
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("context", ["post", "stream"])
@pytest.mark.parametrize(
    ("weight", "sharpness", "length"), [(0.3, 0.7, 9), (0.5, 0, 4), (1, 3, 50), (0, 1, 5), (0.4, 1, 999)]
)
def test_scores_are_those_of_the_equation_worked_out_by_hand(
    context: str, weight: float, sharpness: float, length: int
) -> None:
    h = outputs_one_by_one(TEST, context=context)
    own = np.exp(recurrent_model(context=context).score(TEST).astype(np.float64))
    expected = []
    for t, token in enumerate(TEST.tolist()):
        past = range(max(0, t - length), t)
        likeness = {i: math.exp(sharpness * float(h[t] @ h[i])) for i in past}
        hits = sum(likeness[i] for i in past if TEST[i] == token)
        share = weight * len(past) / length
        expected.append((1 - share) * own[t] + (share * hits / sum(likeness.values()) if past else 0))
    scores = cache(weight=weight, sharpness=sharpness, length=length, context=context).score(TEST)
    np.testing.assert_allclose(np.exp(scores), expected, rtol=2e-4, atol=1e-9)


def test_the_comparison_reaches_over_more_than_what_is_compared_at_once() -> None:
    assert len(TEST) > 200


@pytest.mark.parametrize("context", ["post", "stream"])
@pytest.mark.parametrize("length", [1, 9, 1000])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_each_step_is_a_distribution_and_agrees_with_the_score(context: str, length: int, weight: float) -> None:
    tokens = TEST[: TEST.tolist().index(EOS, 150) + 1]
    model = cache(weight=weight, length=length, context=context)
    if weight == 1:  # what is not in a full cache is ruled out, and of that the two agree
        assert np.isinf(model.score(tokens)).any() == (length < len(tokens))
    check_distributions(model, tokens, atol=1e-4)


@pytest.mark.parametrize("context", ["post", "stream"])
@pytest.mark.parametrize("length", [3, 9, 1000])
def test_a_row_is_the_same_alone_and_in_a_batch_whose_rows_are_taken_and_joined(context: str, length: int) -> None:
    check_rows(cache(length=length, context=context), TEST[:80].reshape(4, 20), atol=2e-5)


def test_it_can_be_part_of_a_mixture(tmp_path: Path) -> None:
    ngrams = KneserNey.fit(random_tokens(1, posts=60), order=3, vocabulary_size=V, eos=EOS)
    mixture = Mixture.fit({"recurrent": cache(), "kneser-ney": ngrams}, TEST)
    check_distributions(mixture, TEST[:60])
    mixture.save(tmp_path)
    np.testing.assert_array_equal(Mixture.load(tmp_path).score(TEST), mixture.score(TEST))


def test_likeness_too_large_for_a_float_is_no_error() -> None:
    """Nor is one so small that it vanishes beside the others. (Where the two part, score and step may differ then.)"""
    model = cache(weight=1.0, sharpness=1000, length=5)
    log_probs = read_one_by_one(model, TEST)
    assert not np.isnan(log_probs).any()
    np.testing.assert_allclose(np.exp(log_probs.astype(np.float64)).sum(axis=1), 1, atol=1e-5)
    assert not np.isnan(model.score(TEST)).any()


def test_weight_sharpness_and_length_are_those_that_a_search_finds() -> None:
    """On a text in which posts come back, so that like states are followed by like tokens."""
    post = TEST[: TEST.tolist().index(EOS, 20) + 1]
    held_out = np.tile(post, 6)
    fitted = ContinuousCache.fit(recurrent_model(), held_out)
    assert fitted.weight > 0.2
    best, weight, sharpness, length = max(
        (
            float(cache(weight=weight, sharpness=sharpness, length=length).score(held_out).sum()),
            weight,
            sharpness,
            length,
        )
        for weight, sharpness, length in product(np.linspace(0, 1, 26), SHARPNESSES, LENGTHS)
    )
    assert (fitted.sharpness, fitted.length) == (sharpness, length)
    assert fitted.weight == pytest.approx(weight, abs=0.04)
    assert fitted.score(held_out).sum() >= best - 1e-3


def test_a_cache_cannot_be_fitted_on_nothing() -> None:
    with pytest.raises(CorpusTooSmall):
        ContinuousCache.fit(recurrent_model(), TEST[:0])


def test_a_saved_cache_comes_back_with_what_is_inside(tmp_path: Path) -> None:
    model = cache()
    model.save(tmp_path)
    loaded = ContinuousCache.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(TEST), model.score(TEST))
    assert (loaded.weight, loaded.sharpness, loaded.length) == (0.3, 0.7, 9)
    assert loaded.parameters == recurrent_model().parameters + 3


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a weight below nothing": lambda described: described.update(weight=-0.1),
    "a weight that is no number": lambda described: described.update(weight=math.nan),
    "no sharpness": lambda described: described.pop("sharpness"),
    "a sharpness without end": lambda described: described.update(sharpness=math.inf),
    "a sharpness below nothing": lambda described: described.update(sharpness=-1),
    "a length of nothing": lambda described: described.update(length=0),
    "a length without end": lambda described: described.update(length=10**9),
    "no model": lambda described: described.pop("model"),
    "an unknown family": lambda described: described["model"].update(family="gpt"),
    "another format": lambda described: described.update(format=2),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_cache_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    cache().save(tmp_path)
    described = json.loads((tmp_path / FILE_NAME).read_text())
    LIES[lie](described)
    (tmp_path / FILE_NAME).write_text(json.dumps(described))
    with pytest.raises(ArtifactError):
        ContinuousCache.load(tmp_path)


def test_a_model_inside_that_has_no_states_to_compare_is_refused(tmp_path: Path) -> None:
    cache().save(tmp_path)
    described = json.loads((tmp_path / FILE_NAME).read_text())
    described["model"]["family"] = "kneser-ney"
    (tmp_path / FILE_NAME).write_text(json.dumps(described))
    KneserNey.fit(TEST, order=2, vocabulary_size=V, eos=EOS).save(tmp_path / "model")
    with pytest.raises(ArtifactError, match="the model inside is not recurrent"):
        ContinuousCache.load(tmp_path)
