"""Relative frequencies: those that one counts by hand, -inf for what was never seen, a distribution after anything."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ml.errors import ArtifactError, ConfigError, CorpusTooSmall
from ml.language_model import TokenArray
from ml.models.maximum_likelihood import FILE_NAME, MaximumLikelihood
from ml.text.posts import read_posts
from ml.text.words import WordTokenizer
from tests.ml.models.contract import check_distributions, check_rows
from tests.ml.models.languages import EOS, V, random_tokens, read_one_by_one, sentences

START = -7


def fit(tokens: TokenArray, order: int) -> MaximumLikelihood:
    return MaximumLikelihood.fit(tokens, order=order, vocabulary_size=V, eos=EOS)


def counted_by_hand(train: TokenArray, test: TokenArray, order: int) -> list[float]:
    """Log-probabilities by dictionaries, one n-gram at a time."""
    following: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for sentence in sentences(train):
        padded = [START, *sentence]
        for end in range(1, len(padded)):
            for begin in range(max(0, end - order + 1), end + 1):
                following[tuple(padded[begin:end])][padded[end]] += 1
    result = []
    for sentence in sentences(test):
        padded = [START, *sentence]
        for end in range(1, len(padded)):
            begins = range(max(0, end - order + 1), end + 1)
            counts = next(found for begin in begins if (found := following.get(tuple(padded[begin:end]))))
            count = counts[padded[end]]
            result.append(math.log(count / counts.total()) if count else -math.inf)
    return result


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("posts", [1, 12, 60])
def test_scores_are_those_counted_by_hand(order: int, posts: int) -> None:
    train, test = random_tokens(1, posts=posts), random_tokens(2, posts=15)
    np.testing.assert_allclose(fit(train, order).score(test), counted_by_hand(train, test, order), rtol=1e-5)
    np.testing.assert_allclose(fit(train, order).score(train), counted_by_hand(train, train, order), rtol=1e-5)


def test_the_comparison_covers_what_is_ruled_out_and_contexts_never_seen() -> None:
    model, test = fit(random_tokens(1, posts=12), 3), random_tokens(2, posts=15)
    assert 0.1 < np.isinf(model.score(test)).mean() < 0.9
    # 29 was never said: after it nothing is known but the words themselves.
    after_unseen, words = read_one_by_one(model, np.array([29, 5])), fit(random_tokens(1, posts=12), 1)
    np.testing.assert_array_equal(after_unseen[1], read_one_by_one(words, np.array([29]))[0])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_each_step_is_a_distribution_and_agrees_with_the_score(order: int) -> None:
    train, strange = random_tokens(1, posts=60), np.array([3, 29, 5, 5, EOS, EOS, 28, 28, 3])
    check_distributions(fit(train, order), np.concatenate([random_tokens(2, posts=20), strange]))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_row_is_the_same_alone_and_in_a_batch_whose_rows_are_taken_and_joined(order: int) -> None:
    check_rows(fit(random_tokens(1, posts=60), order), random_tokens(2, posts=40)[:80].reshape(4, 20))


@pytest.mark.parametrize("tokens", [[EOS], [EOS, EOS], [3, EOS], [3, 3, 3, 3, EOS]])
@pytest.mark.parametrize("order", [1, 3, 12])
def test_the_smallest_corpora_give_distributions(tokens: list[int], order: int) -> None:
    check_distributions(fit(np.array(tokens), order), np.array([3, 5, 3, 3, EOS, EOS, 3]))


def test_the_training_text_is_likelier_under_no_other_frequencies() -> None:
    """What the name says: any step away from the counts, towards any other distribution, makes the text less likely."""
    train = random_tokens(1, posts=60)
    best = float(fit(train, 1).score(train).sum())
    source = np.random.default_rng(3)
    frequencies = np.bincount(train, minlength=V) / len(train)
    for _ in range(20):
        other = 0.99 * frequencies + 0.01 * source.dirichlet(np.ones(V))
        assert float(np.log(other[train]).sum()) < best


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ConfigError, match="order is 0"):
        fit(np.array([1, EOS]), 0)
    with pytest.raises(CorpusTooSmall):
        fit(np.array([], dtype=np.int64), 3)
    with pytest.raises(ValueError, match="must be ids below"):
        fit(np.array([V, EOS]), 3)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_saved_model_is_the_same_when_loaded(order: int, tmp_path: Path) -> None:
    model, test = fit(random_tokens(1, posts=60), order), random_tokens(2, posts=20)
    model.save(tmp_path)
    loaded = MaximumLikelihood.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(test), model.score(test))
    assert (loaded.order, loaded.vocabulary_size, loaded.parameters) == (order, V, model.parameters)
    assert model.parameters == sum(array.size for array in load_file(tmp_path / FILE_NAME).values())


Arrays: TypeAlias = dict[str, NDArray[Any]]


def with_words(arrays: Arrays, change: int) -> Arrays:
    counts = arrays["counts"].copy()
    counts[3] = change
    return arrays | {"counts": counts}


ALTERATIONS: dict[str, Callable[[Arrays], Arrays]] = {
    "words out of order": lambda a: a | {"words": a["words"][::-1].copy()},
    "words of another type": lambda a: a | {"words": a["words"].astype(np.int32)},
    "a start beyond the words": lambda a: a | {"starts": a["starts"] + np.int32(1)},
    "too few counts": lambda a: a | {"counts": a["counts"][:-1]},
    "no counts": lambda a: a | {"counts": a["counts"][:0]},
    "counts of another text": lambda a: a | {"counts": np.append(a["counts"][:-1], a["counts"][-1:] + 1)},
    "a count of nothing": lambda a: a | {"counts": np.append(a["counts"][:-1], a["counts"][-1:] * 0)},
    "counts that are no whole numbers": lambda a: a | {"counts": a["counts"] * 1.0},
    "counts in two dimensions": lambda a: a | {"counts": a["counts"][np.newaxis]},
    "a word that is said less than no times": lambda a: with_words(a, -1),
    "a word that is said and never followed": lambda a: with_words(a, 10_000),
    "a table too many": lambda a: a | {"keys.2": a["words"]},
    "a table missing": lambda a: {name: array for name, array in a.items() if name != "counts"},
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_tables_altered_into_nonsense_are_refused(alteration: str, tmp_path: Path) -> None:
    fit(random_tokens(1, posts=60), 3).save(tmp_path)
    altered = ALTERATIONS[alteration](load_file(tmp_path / FILE_NAME))
    save_file(altered, tmp_path / FILE_NAME, metadata={"format": "2", "order": "3", "eos": str(EOS)})
    with pytest.raises(ArtifactError):
        MaximumLikelihood.load(tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"format": "1", "order": "3", "eos": "0"},
        {"format": "2", "order": "3"},
        {"format": "2", "order": "x", "eos": "0"},
        {"format": "2", "order": "2", "eos": "0"},
        {"format": "2", "order": "4", "eos": "0"},
        {"format": "2", "order": "65", "eos": "0"},
        {"format": "2", "order": "3", "eos": "99"},
        {"format": "2", "order": "3", "eos": "29"},
    ],
)
def test_a_header_that_does_not_fit_the_tables_is_refused(metadata: dict[str, str], tmp_path: Path) -> None:
    fit(random_tokens(1, posts=60), 3).save(tmp_path)
    save_file(load_file(tmp_path / FILE_NAME), tmp_path / FILE_NAME, metadata=metadata)
    with pytest.raises(ArtifactError):
        MaximumLikelihood.load(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read as n-gram tables"):
        MaximumLikelihood.load(tmp_path)


def test_the_words_of_penn_treebank_have_the_entropy_of_their_counts(benchmark_data: Path) -> None:
    train = read_posts(benchmark_data / "ptb" / "ptb.train.txt")
    tokenizer = WordTokenizer.learn(train, vocabulary_size=10_000)
    tokens = tokenizer.encode_posts(train)
    model = MaximumLikelihood.fit(tokens, order=1, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    counts = Counter(word for post in train for word in [*post.split(), "<eos>"])
    entropy = -sum(count / len(tokens) * math.log(count / len(tokens)) for count in counts.values())
    assert -model.score(tokens).mean(dtype=np.float64) == pytest.approx(entropy, rel=1e-5)
