import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ml.errors import ArtifactError, ConfigError, CorpusTooSmall
from ml.language_model import TokenArray
from ml.models.kneser_ney import FALLBACK_DISCOUNTS, KneserNey, discounts
from ml.text.posts import read_posts
from ml.text.words import WordTokenizer
from tests.ml.models.contract import check_distributions, check_rows
from tests.ml.models.languages import EOS, V, random_tokens, read_one_by_one, sentences

START = -7

SCORES: Final = [
    -2.38814974,
    -0.118826792,
    -1.32941818,
    -4.79444838,
    -3.4122057,
    -0.379630834,
    -1.84106433,
    -3.09052563,
    -1.20625627,
    -0.1393428,
    -1.95721865,
    -2.22131801,
    -5.69882107,
    -2.84570026,
    -3.76513743,
    -1.04286921,
    -0.842251718,
    -2.98995876,
    -2.12918067,
    -1.85729182,
    -0.24394156,
    -1.84106433,
]


class SlowKneserNey:
    """The equations of Chen & Goodman 1999 with dictionaries, one n-gram at a time."""

    def __init__(self, tokens: TokenArray, order: int) -> None:
        self.order = order
        raw: dict[tuple[int, ...], int] = defaultdict(int)
        for sentence in sentences(tokens):
            padded = [START, *sentence]
            for end in range(2, len(padded) + 1):
                for k in range(1, min(order, end) + 1):
                    raw[tuple(padded[end - k : end])] += 1
        before: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for gram in raw:
            before[gram[1:]].add(gram[0])
        self.counts = {
            gram: count if len(gram) == order or gram[0] == START else len(before[gram]) for gram, count in raw.items()
        }
        self.discounts = {k: self.estimate(k) for k in range(1, order + 1)}

    def estimate(self, k: int) -> tuple[float, float, float]:
        of_order = [count for gram, count in self.counts.items() if len(gram) == k]
        n1, n2, n3, n4 = (of_order.count(c) for c in (1, 2, 3, 4))
        if not all((n1, n2, n3, n4)):
            return (0.5, 1.0, 1.5)
        y = n1 / (n1 + 2 * n2)
        d = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        return d if min(d) > 0 else (0.5, 1.0, 1.5)

    def probability(self, word: int, context: tuple[int, ...]) -> float:
        following = {gram[-1]: c for gram, c in self.counts.items() if gram[:-1] == context}
        lower = self.probability(word, context[1:]) if context else 1 / V
        total = sum(following.values())
        if not total:
            return lower
        d = (0.0, *self.discounts[len(context) + 1])
        left_over = sum(d[min(c, 3)] for c in following.values()) / total
        count = following.get(word, 0)
        return (count - d[min(count, 3)]) / total + left_over * lower

    def score(self, tokens: TokenArray) -> list[float]:
        result = []
        for sentence in sentences(tokens):
            padded = [START, *sentence]
            for end in range(1, len(padded)):
                context = tuple(padded[max(0, end - self.order + 1) : end])
                result.append(math.log(self.probability(padded[end], context)))
        return result


def fit(tokens: TokenArray, order: int) -> KneserNey:
    return KneserNey.fit(tokens, order=order, vocabulary_size=V, eos=EOS)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("posts", [1, 12, 60])
def test_scores_are_those_of_the_equations(order: int, posts: int) -> None:
    train, test = random_tokens(1, posts=posts), random_tokens(2, posts=15)
    np.testing.assert_allclose(fit(train, order).score(test), SlowKneserNey(train, order).score(test), atol=1e-5)


def test_the_comparison_with_the_equations_covers_estimated_discounts_and_fallbacks() -> None:
    tokens = random_tokens(1, posts=60)
    estimates = [SlowKneserNey(tokens, 3).estimate(k) for k in (1, 2, 3)]
    assert any(estimate != FALLBACK_DISCOUNTS for estimate in estimates)
    assert SlowKneserNey(random_tokens(1, posts=1), 3).estimate(1) == FALLBACK_DISCOUNTS


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_each_step_is_a_distribution_and_agrees_with_the_score(order: int) -> None:
    check_distributions(fit(random_tokens(1, posts=60), order), random_tokens(2, posts=20), atol=1e-5)


def test_a_row_is_the_same_alone_and_in_a_batch_whose_rows_are_taken_and_joined() -> None:
    check_rows(fit(random_tokens(1, posts=60), 4), random_tokens(2, posts=40)[:80].reshape(4, 20))


def test_contexts_that_leave_next_to_nothing_to_shorter_ones_are_no_error(tmp_path: Path) -> None:
    """Six of them in a row leave 1e-48, which float32 cannot hold. Only much repetition makes such tables."""
    fit(random_tokens(1, posts=60), 7).save(tmp_path)
    path = tmp_path / "kneser_ney.safetensors"
    arrays = load_file(path)
    lengths = np.diff(arrays["starts"])
    contexts = np.repeat(np.arange(len(lengths)), lengths)
    sums = np.bincount(contexts, weights=arrays["discounted"], minlength=len(lengths))
    arrays["discounted"] = (arrays["discounted"] / sums[contexts]).astype(np.float32)
    arrays["backoff"] = np.where(lengths > 0, 1e-8, 1).astype(np.float32)
    save_file(arrays, path, metadata={"format": "2", "order": "7", "eos": str(EOS)})
    model, test = KneserNey.load(tmp_path), random_tokens(1, posts=20)
    check_distributions(model, test)
    log_probs = read_one_by_one(model, test)
    assert log_probs.min() < math.log(1e-48)
    assert np.isfinite(log_probs).all()
    linear = probabilities_one_by_one(model, test)
    assert np.isfinite(linear).all()
    assert linear.min() == 0
    np.testing.assert_allclose(linear, np.exp(log_probs), rtol=1e-5, atol=1e-37)


def probabilities_one_by_one(model: KneserNey, tokens: TokenArray) -> NDArray[np.float32]:
    state, previous, rows = model.initial_state(1), EOS, []
    for token in tokens.tolist():
        expected, state = model.probabilities(np.array([previous]), state)
        rows.append(expected[0])
        previous = token
    return np.array(rows)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_those_whose_logarithms_a_step_gives(order: int) -> None:
    model, test = fit(random_tokens(1, posts=60), order), random_tokens(2, posts=20)
    linear = probabilities_one_by_one(model, test)
    assert linear.dtype == np.float32
    np.testing.assert_allclose(linear.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    np.testing.assert_allclose(np.log(linear), read_one_by_one(model, test), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_probabilities_may_be_written_over(rows: int) -> None:
    model = fit(random_tokens(1, posts=60), 4)
    tokens = random_tokens(2, posts=40)[:rows]
    state = model.initial_state(rows)
    first, after = model.probabilities(tokens, state)
    kept = first.copy()
    first[:] = -1
    again, after_again = model.probabilities(tokens, state)
    np.testing.assert_array_equal(again, kept)
    np.testing.assert_array_equal(after_again.grams, after.grams)


def test_scores_are_those_of_earlier_versions() -> None:
    """As written down in version 1 of the file's format, where each length of n-grams had its own tables."""
    train, test = random_tokens(5, posts=300), random_tokens(6, posts=3)
    np.testing.assert_allclose(fit(train, 4).score(test), SCORES, rtol=2e-7)


def test_nothing_before_eos_is_remembered() -> None:
    model = fit(random_tokens(1, posts=60), 5)
    tokens = random_tokens(2, posts=5)
    alone = np.concatenate([model.score(np.array(sentence)) for sentence in sentences(tokens)])
    np.testing.assert_array_equal(model.score(tokens), alone)


@pytest.mark.parametrize("tokens", [[EOS], [EOS, EOS], [3, EOS], [3, 3, 3, 3, EOS], [3, EOS] * 5000])
@pytest.mark.parametrize("order", [1, 3, 12])
def test_the_smallest_corpora_leave_every_token_a_probability(tokens: list[int], order: int) -> None:
    model = fit(np.array(tokens), order)
    log_probs = read_one_by_one(model, np.array([3, 5, 3, 3, EOS, EOS, 3]))
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs.astype(np.float64)).sum(axis=1), 1, atol=1e-5)


def test_an_empty_text_has_an_empty_score() -> None:
    assert fit(random_tokens(1, posts=9), 3).score(np.array([], dtype=np.int64)).shape == (0,)


def test_discounts_are_estimated_from_counts_of_counts() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 12, 7])
    y = 100 / 180
    assert discounts(counts) == pytest.approx((1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.6))


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_discounts_fall_back_where_a_count_of_counts_is_missing(missing: int) -> None:
    counts = np.array([count for count in (1, 1, 2, 3, 4, 5) if count != missing])
    assert discounts(counts) == FALLBACK_DISCOUNTS


def test_discounts_fall_back_where_the_estimate_is_not_positive() -> None:
    assert discounts(np.repeat([1, 2, 3, 4], [10, 1, 9, 1])) == FALLBACK_DISCOUNTS


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ConfigError, match="order is 0"):
        fit(np.array([1, EOS]), 0)
    with pytest.raises(CorpusTooSmall):
        fit(np.array([], dtype=np.int64), 3)
    for tokens in ([1, 2], [V, EOS], [-1, EOS]):
        with pytest.raises(ValueError, match="must be ids below"):
            fit(np.array(tokens), 3)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_saved_model_is_the_same_when_loaded(order: int, tmp_path: Path) -> None:
    model, test = fit(random_tokens(1, posts=60), order), random_tokens(2, posts=20)
    model.save(tmp_path)
    loaded = KneserNey.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(test), model.score(test))
    assert (loaded.order, loaded.vocabulary_size, loaded.parameters) == (order, V, model.parameters)
    arrays = load_file(tmp_path / "kneser_ney.safetensors")
    assert model.parameters == sum(array.size for array in arrays.values())


def test_contexts_are_checked_however_many_there_are(tmp_path: Path) -> None:
    many = 70_000  # more words than 16 bits hold, each of them a context
    tokens = np.append(np.random.default_rng(3).integers(0, many, size=20_000), EOS)
    model = KneserNey.fit(tokens, order=3, vocabulary_size=many, eos=EOS)
    model.save(tmp_path)
    np.testing.assert_array_equal(KneserNey.load(tmp_path).score(tokens), model.score(tokens))
    path = tmp_path / "kneser_ney.safetensors"
    for context in (0, many // 2, 2**16 - 1, 2**16, many, -1):
        arrays = load_file(path)
        arrays["backoff"][context] += np.float32(0.5)
        (tmp_path / "altered").mkdir(exist_ok=True)
        save_file(arrays, tmp_path / "altered" / path.name, metadata={"format": "2", "order": "3", "eos": str(EOS)})
        with pytest.raises(ArtifactError, match="do not sum to one"):
            KneserNey.load(tmp_path / "altered")


@pytest.mark.parametrize("content", [None, b"", b"not tensors at all"])
def test_a_missing_or_broken_file_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "kneser_ney.safetensors").write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read as n-gram tables"):
        KneserNey.load(tmp_path)


Arrays: TypeAlias = dict[str, NDArray[Any]]

ALTERATIONS: dict[str, Callable[[Arrays], Arrays]] = {
    "words out of order": lambda a: a | {"words": a["words"][::-1].copy()},
    "a word that does not exist": lambda a: a | {"words": np.where(np.arange(len(a["words"])) == 9, V, a["words"])},
    "words of another type": lambda a: a | {"words": a["words"].astype(np.int32)},
    "words in two dimensions": lambda a: a | {"words": a["words"][np.newaxis]},
    "a continuation less": lambda a: a | {"words": a["words"][:-1], "discounted": a["discounted"][:-1]},
    "starts out of order": lambda a: (
        a | {"starts": np.concatenate([a["starts"][:1], a["starts"][1:-1][::-1], a["starts"][-1:]])}
    ),
    "starts before the first word": lambda a: a | {"starts": np.concatenate([[-3], a["starts"][1:]]).astype(np.int32)},
    "starts of another type": lambda a: a | {"starts": a["starts"].astype(np.int64)},
    "no starts": lambda a: a | {"starts": a["starts"][:0]},
    "a context too many": lambda a: (
        a | {"starts": np.append(a["starts"], a["starts"][-1]), "backoff": np.append(a["backoff"], np.float32(1))}
    ),
    "too few probabilities": lambda a: a | {"discounted": a["discounted"][:-1]},
    "too many backoffs": lambda a: a | {"backoff": np.append(a["backoff"], np.float32(1))},
    "probabilities that do not sum to one": lambda a: a | {"discounted": a["discounted"] * 2},
    "a probability below 0": lambda a: (
        a | {"discounted": a["discounted"] - 1, "backoff": a["backoff"] + np.diff(a["starts"]).astype(np.float32)}
    ),
    "unigrams that do not sum to one": lambda a: a | {"unigrams": a["unigrams"] * 2},
    "unigrams in two dimensions": lambda a: a | {"unigrams": a["unigrams"].reshape(2, -1)},
    "no unigrams": lambda a: a | {"unigrams": a["unigrams"][:0]},
    "a number that is none": lambda a: a | {"backoff": a["backoff"] * np.float32(math.nan)},
    "a table too many": lambda a: a | {"keys.2": a["words"]},
    "a table missing": lambda a: {name: array for name, array in a.items() if name != "backoff"},
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_tables_altered_into_nonsense_are_refused(alteration: str, tmp_path: Path) -> None:
    fit(random_tokens(1, posts=60), 3).save(tmp_path)
    path = tmp_path / "kneser_ney.safetensors"
    altered = ALTERATIONS[alteration](load_file(path))
    save_file(altered, path, metadata={"format": "2", "order": "3", "eos": str(EOS)})
    with pytest.raises(ArtifactError):
        KneserNey.load(tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"format": "1", "order": "3", "eos": "0"},
        {"format": "2"},
        {"format": "2", "order": "3"},
        {"format": "2", "order": "x", "eos": "0"},
        {"format": "2", "order": "4", "eos": "0"},
        {"format": "2", "order": "2", "eos": "0"},
        {"format": "2", "order": "1", "eos": "0"},
        {"format": "2", "order": "0", "eos": "0"},
        {"format": "2", "order": "-1", "eos": "0"},
        {"format": "2", "order": "1000000000000", "eos": "0"},
        {"format": "2", "order": "3", "eos": "99"},
        {"format": "2", "order": "3", "eos": "-1"},
    ],
)
def test_a_header_that_does_not_fit_the_tables_is_refused(metadata: dict[str, str], tmp_path: Path) -> None:
    fit(random_tokens(1, posts=60), 3).save(tmp_path)
    path = tmp_path / "kneser_ney.safetensors"
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(ArtifactError):
        KneserNey.load(tmp_path)


def test_penn_treebank_has_the_published_perplexity(benchmark_data: Path) -> None:
    train = read_posts(benchmark_data / "ptb" / "ptb.train.txt")
    tokenizer = WordTokenizer.learn(train, vocabulary_size=10_000)
    tokens = tokenizer.encode_posts(train)
    assert (tokenizer.vocabulary_size, len(tokens)) == (10_000, 929_589)
    model = KneserNey.fit(tokens, order=5, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    test = tokenizer.encode_posts(read_posts(benchmark_data / "ptb" / "ptb.test.txt"))
    assert len(test) == 82_430
    assert math.exp(-model.score(test).mean(dtype=np.float64)) == pytest.approx(141.2, abs=0.2)
