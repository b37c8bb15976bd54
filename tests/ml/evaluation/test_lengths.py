"""Lengths of sampled sentences against held-out posts."""

import numpy as np
import pytest

from ml.errors import EvaluationError
from ml.evaluation.lengths import length_calibration, length_gap
from ml.models.kneser_ney import KneserNey
from ml.text.tokenizers import learn_tokenizer


def test_the_distances_are_those_of_the_cumulative_distributions_place_by_place() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        one, other = random.integers(1, 30, size=random.integers(1, 40)), random.integers(5, 40, size=25)
        gap = length_gap(one, other)
        apart = [abs(np.mean(one <= place) - np.mean(other <= place)) for place in range(50)]
        assert gap.kolmogorov_smirnov == pytest.approx(max(apart))
        assert gap.wasserstein == pytest.approx(sum(apart))  # each place is one token wide


def test_the_same_lengths_are_no_distance_apart_and_longer_ones_by_how_much() -> None:
    lengths = np.array([3, 9, 4, 4])
    same, longer = length_gap(lengths, lengths), length_gap(lengths + 7, lengths)
    assert (same.kolmogorov_smirnov, same.wasserstein) == (0, 0)
    assert longer.kolmogorov_smirnov == 1
    assert longer.wasserstein == pytest.approx(7)
    assert (longer.sampled.mean, longer.held_out.mean) == (12, 5)
    assert longer.held_out.quantiles[2] == 4


def test_samples_of_one_distribution_stay_under_the_distance_of_chance_19_times_in_20() -> None:
    random = np.random.default_rng(2)
    under = 0
    for _ in range(400):
        gap = length_gap(random.integers(1, 10_000, size=80), random.integers(1, 10_000, size=120))
        under += gap.kolmogorov_smirnov <= gap.by_chance
    assert 0.92 <= under / 400 <= 0.99


def test_a_model_of_posts_speaks_as_long_as_they_are_and_one_of_unigrams_does_not(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("words", small_corpus, vocabulary_size=100)
    tokens = tokenizer.encode_posts(small_corpus)
    gaps = {}
    for order in (1, 5):
        model = KneserNey.fit(tokens, order=order, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
        found = length_calibration(model, tokenizer, small_corpus, n=300, seed=3)
        assert found.sentences == 300
        gaps[order] = found.tokens
    assert gaps[5].held_out.mean == pytest.approx(len(tokens) / len(small_corpus))
    assert gaps[5].kolmogorov_smirnov < 2 * gaps[5].by_chance < gaps[1].kolmogorov_smirnov
    assert gaps[5].wasserstein < gaps[1].wasserstein / 3


@pytest.mark.parametrize(("posts", "n"), [([], 5), (["the mynah"], 0)])
def test_nothing_is_compared_with_nothing(posts: list[str], n: int, small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("words", small_corpus, vocabulary_size=100)
    tokens = tokenizer.encode_posts(small_corpus)
    model = KneserNey.fit(tokens, order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    with pytest.raises(EvaluationError, match="from 1 of each on"):
        length_calibration(model, tokenizer, posts, n=n, seed=1)
