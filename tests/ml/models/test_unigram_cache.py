"""The unigram cache: its equation counted by hand, a distribution at every step, and what it is worth on real text."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.errors import ArtifactError, CorpusTooSmall
from ml.language_model import StoredModel, TokenArray
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.models.mixture import Mixture
from ml.models.unigram_cache import FILE_NAME, LENGTHS, UnigramCache
from ml.text.posts import read_posts
from ml.text.words import WordTokenizer
from tests.ml.models.contract import check_distributions, check_rows
from tests.ml.models.languages import EOS, V, random_tokens, recurrent_model

TRAIN, TEST = random_tokens(1, posts=60), random_tokens(3, posts=30)


def kneser_ney() -> KneserNey:
    return KneserNey.fit(TRAIN, order=3, vocabulary_size=V, eos=EOS)


def inside(kind: str) -> StoredModel:
    counts = MaximumLikelihood.fit(TRAIN, order=2, vocabulary_size=V, eos=EOS)
    models: dict[str, StoredModel] = {"smooth": kneser_ney(), "counts": counts, "network": recurrent_model()}
    models["mixture"] = Mixture(dict(models), np.array([0.3, 0.5, 0.2]))
    models["cache"] = UnigramCache(kneser_ney(), weight=0.2, length=4, eos=EOS)
    return models[kind]


def bursty(posts: int, *, seed: int) -> TokenArray:
    """Posts that each keep to a few words of their own: what a cache is for."""
    source = np.random.default_rng(seed)
    words = [source.choice(np.arange(1, V), size=3, replace=False) for _ in range(posts)]
    return np.concatenate([np.append(source.choice(own, size=20), EOS) for own in words])


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["smooth", "counts"])
def test_scores_are_those_of_the_equation_counted_by_hand(kind: str, weight: float, length: int) -> None:
    model = inside(kind)
    expected = []
    for place, (token, own) in enumerate(zip(TEST.tolist(), model.score(TEST).tolist(), strict=True)):
        words = [word for word in TEST[:place].tolist() if word != EOS][-length:]
        share = weight * len(words) / length
        p = (1 - share) * math.exp(own) + weight * words.count(token) / length
        expected.append(math.log(p) if p else -math.inf)
    scores = UnigramCache(model, weight=weight, length=length, eos=EOS).score(TEST)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["smooth", "counts", "network", "mixture", "cache"])
@pytest.mark.parametrize(("weight", "length"), [(0.3, 7), (0.3, 1000), (1.0, 3)])
def test_each_step_is_a_distribution_and_agrees_with_the_score(kind: str, weight: float, length: int) -> None:
    check_distributions(UnigramCache(inside(kind), weight=weight, length=length, eos=EOS), TEST)


@pytest.mark.parametrize("kind", ["smooth", "counts", "network", "mixture", "cache"])
@pytest.mark.parametrize("length", [3, 7, 1000])
def test_a_row_is_the_same_alone_and_in_a_batch_whose_rows_are_taken_and_joined(kind: str, length: int) -> None:
    model = UnigramCache(inside(kind), weight=0.3, length=length, eos=EOS)
    check_rows(model, random_tokens(2, posts=40)[:80].reshape(4, 20), atol=2e-5)


def test_rows_that_have_said_nothing_are_those_of_the_model_inside() -> None:
    model = UnigramCache(kneser_ney(), weight=0.9, length=3, eos=EOS)
    log_probs, _ = model.step(np.array([EOS, EOS]), model.initial_state(2))
    own, _ = kneser_ney().step(np.array([EOS, EOS]), kneser_ney().initial_state(2))
    np.testing.assert_array_equal(log_probs, own)


def test_weight_and_length_are_those_that_a_search_finds() -> None:
    held_out = bursty(40, seed=5)
    fitted = UnigramCache.fit(kneser_ney(), held_out, eos=EOS)
    assert fitted.weight > 0.2
    grid = [
        (float(UnigramCache(kneser_ney(), weight=weight, length=length, eos=EOS).score(held_out).sum()), weight, length)
        for length in LENGTHS
        for weight in np.linspace(0, 1, 101)
    ]
    best, weight, length = max(grid)
    assert fitted.length == length
    assert fitted.weight == pytest.approx(weight, abs=0.01)
    assert fitted.score(held_out).sum() >= best - 1e-3


def test_a_text_that_never_repeats_itself_gets_no_cache() -> None:
    held_out = np.array([*range(1, V), EOS])
    flat = KneserNey.fit(held_out, order=1, vocabulary_size=V, eos=EOS)
    fitted = UnigramCache.fit(flat, held_out, eos=EOS)
    assert fitted.weight == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(fitted.score(held_out), flat.score(held_out), atol=1e-4)


def test_a_cache_cannot_be_fitted_on_nothing() -> None:
    with pytest.raises(CorpusTooSmall):
        UnigramCache.fit(kneser_ney(), TEST[:0], eos=EOS)


@pytest.mark.parametrize("kind", ["smooth", "mixture", "cache"])
def test_a_saved_cache_comes_back_with_what_is_inside(kind: str, tmp_path: Path) -> None:
    model = UnigramCache(inside(kind), weight=0.3, length=7, eos=EOS)
    model.save(tmp_path)
    loaded = UnigramCache.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(TEST), model.score(TEST))
    assert (loaded.weight, loaded.length, loaded.parameters) == (0.3, 7, model.parameters)


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a weight above one": lambda described: described.update(weight=1.1),
    "a weight that is no number": lambda described: described.update(weight=math.nan),
    "no weight": lambda described: described.pop("weight"),
    "a length of nothing": lambda described: described.update(length=0),
    "a length without end": lambda described: described.update(length=10**9),
    "a length that is no number": lambda described: described.update(length="long"),
    "an <eos> beyond the vocabulary": lambda described: described.update(eos=V),
    "an unknown family": lambda described: described["model"].update(family="gpt"),
    "a way out": lambda described: described["model"].update(name=".."),
    "another format": lambda described: described.update(format=2),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_cache_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    UnigramCache(kneser_ney(), weight=0.3, length=7, eos=EOS).save(tmp_path)
    described = json.loads((tmp_path / FILE_NAME).read_text())
    LIES[lie](described)
    (tmp_path / FILE_NAME).write_text(json.dumps(described))
    with pytest.raises(ArtifactError):
        UnigramCache.load(tmp_path)


def test_penn_treebank_has_about_the_published_perplexity(benchmark_data: Path) -> None:
    """Published: 141.2 without and 125.7 with a cache (Mikolov & Zweig 2012)."""
    splits = {name: read_posts(benchmark_data / "ptb" / f"ptb.{name}.txt") for name in ("train", "valid", "test")}
    tokenizer = WordTokenizer.learn(splits["train"], vocabulary_size=10_000)
    tokens = {name: tokenizer.encode_posts(posts) for name, posts in splits.items()}
    ngrams = KneserNey.fit(tokens["train"], order=5, vocabulary_size=10_000, eos=tokenizer.eos)
    model = UnigramCache.fit(ngrams, tokens["valid"], eos=tokenizer.eos)
    assert math.exp(-model.score(tokens["test"]).mean(dtype=np.float64)) == pytest.approx(125.7, abs=1.5)
