"""Recipes as data: every one loads, and what makes no sense is named."""

from dataclasses import replace

import pytest

from ml import preset
from ml.errors import ConfigError
from ml.preset import CacheRecipe, RecurrentRecipe


def test_the_presets_are_these() -> None:
    assert preset.names() == ["bigram", "elman", "kneser-ney", "kneser-ney-cache", "lstm", "lstm-kn5", "unigram"]


@pytest.mark.parametrize("name", preset.names())
def test_every_preset_loads_and_describes_itself(name: str) -> None:
    loaded = preset.load(name)
    assert loaded.name == name
    assert loaded.description
    assert (loaded.training is None) == (not isinstance(loaded.model, RecurrentRecipe))


def test_an_override_replaces_one_value() -> None:
    loaded = preset.load("lstm", {"text.tokenizer": "words", "dropout.input": 0})
    assert isinstance(loaded.model, RecurrentRecipe)
    assert (loaded.text.tokenizer, loaded.dropout.input) == ("words", 0)
    assert loaded.training == preset.load("lstm").training


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"model.colour": "red"}, "model.colour"),
        ({"description": "mine"}, "description"),
        ({"model.family": "kneser-ney"}, "model.family"),
        ({"model.": 1}, "model."),
        ({"model.cell": "transformer"}, "model.cell is 'transformer'; it has to be elman or"),
        ({"model.hidden_size": "512"}, "model.hidden_size is '512'; it has to be of type int"),
        ({"model.hidden_size": 1.5}, "model.hidden_size"),
        ({"model.hidden_size": True}, "model.hidden_size"),
        ({"model.hidden_size": 0}, "model.hidden_size is 0; it has to be 1 to 8192"),
        ({"model.tied": 1}, "model.tied is 1; it has to be of type bool"),
        ({"dropout.input": 1.0}, "dropout.input"),
        ({"model.context": "page"}, "model.context"),
        ({"training.precision": "float16"}, "training.precision"),
        ({"model.cell": "sru", "dropout.weight": 0.1}, "dropout.weight"),
        ({"training.learning_rate": -1.0}, "training.learning_rate"),
        ({"training.clip": float("nan")}, "training.clip"),
        ({"training.epochs": 0}, "training.epochs"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused_by_name(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        preset.load("lstm", overrides)
    assert named in str(refused.value)


def test_any_preset_can_be_given_a_cache() -> None:
    assert preset.load("lstm").cache is None
    assert preset.load("lstm", {"cache.kind": "continuous"}).cache == CacheRecipe(kind="continuous")
    given = replace(preset.load("kneser-ney", {"cache.kind": "unigram"}), name="kneser-ney-cache", description="")
    assert given == replace(preset.load("kneser-ney-cache"), description="")


def test_a_cache_that_does_not_exist_or_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cache\.kind is 'paper'; it has to be unigram or continuous"):
        preset.load("kneser-ney-cache", {"cache.kind": "paper"})
    with pytest.raises(ConfigError, match="unigram for a model that has no states"):
        preset.load("kneser-ney", {"cache.kind": "continuous"})


@pytest.mark.parametrize("name", ["", "gpt", "../presets/lstm", "lstm.toml"])
def test_an_unknown_preset_names_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match="bigram, elman, kneser-ney, kneser-ney-cache, lstm, lstm-kn5, unigram"):
        preset.load(name)


@pytest.mark.parametrize("name", ["bigram", "kneser-ney"])
@pytest.mark.parametrize("order", [0, 13])
def test_an_order_that_no_one_can_count_is_refused(name: str, order: int) -> None:
    with pytest.raises(ConfigError, match=r"model\.order"):
        preset.load(name, {"model.order": order})
