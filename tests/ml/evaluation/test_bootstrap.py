"""Intervals by drawing posts anew: against the formula for a mean, against a loop, and for models that are the same."""

import math

import numpy as np
import pytest

from ml.errors import ConfigError, EvaluationError
from ml.evaluation.bootstrap import compare, intervals
from ml.evaluation.posts import PostScores


def scored(nats: list[list[float]], *, sizes: list[int] | None = None) -> PostScores:
    """Posts by the costs of their tokens."""
    ends = np.cumsum([len(post) for post in nats])
    flat = np.array([cost for post in nats for cost in post])
    return PostScores(
        np.zeros(len(flat), dtype=np.int64), flat, ends=ends, bytes=np.array(sizes or [10] * len(nats), dtype=np.int64)
    )


def random_posts(n: int, *, seed: int, shift: float = 0.0) -> list[list[float]]:
    random = np.random.default_rng(seed)
    return [(random.gamma(2.0, size=5) + shift).tolist() for _ in range(n)]


def test_the_interval_of_posts_of_one_length_is_that_of_a_mean() -> None:
    posts = random_posts(400, seed=1)
    found = intervals(scored(posts), seed=2, resamples=4000)
    means = np.array(posts).mean(axis=1)
    middle, error = means.mean(), means.std() / math.sqrt(len(means))
    assert math.log(found.perplexity.low) == pytest.approx(middle - 1.96 * error, abs=0.15 * error)
    assert math.log(found.perplexity.high) == pytest.approx(middle + 1.96 * error, abs=0.15 * error)
    # Five tokens and ten bytes a post: bits per byte is the same mean on another scale.
    assert found.bits_per_byte.low == pytest.approx(math.log(found.perplexity.low) * 5 / 10 / math.log(2))
    assert found.perplexity.level == 0.95


def test_resamples_are_posts_drawn_with_replacement_one_by_one() -> None:
    nats, sizes = [[1.0, 2.0], [0.5], [4.0, 1.0, 1.0]], [7, 2, 11]
    found = intervals(scored(nats, sizes=sizes), seed=3, resamples=500, level=0.8)
    random = np.random.default_rng(3)
    perplexities, bits = [], []
    for drawn in random.integers(3, size=(500, 3)).tolist():
        cost = sum(sum(nats[post]) for post in drawn)
        perplexities.append(math.exp(cost / sum(len(nats[post]) for post in drawn)))
        bits.append(cost / math.log(2) / sum(sizes[post] for post in drawn))
    np.testing.assert_allclose(
        [found.perplexity.low, found.perplexity.high], np.quantile(perplexities, [0.1, 0.9]), rtol=1e-12
    )
    np.testing.assert_allclose([found.bits_per_byte.low, found.bits_per_byte.high], np.quantile(bits, [0.1, 0.9]))


def test_how_many_are_drawn_at_once_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    posts = scored(random_posts(50, seed=4))
    whole = intervals(posts, seed=5)
    monkeypatch.setattr("ml.evaluation.bootstrap._DRAWN_AT_ONCE", 777)
    assert intervals(posts, seed=5) == whole
    assert intervals(posts, seed=6) != whole


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = 2.0  # the mean of the gamma distribution above
    held = 0
    for seed in range(200):
        found = intervals(scored(random_posts(60, seed=1000 + seed)), seed=1, resamples=1000, level=0.8).perplexity
        held += found.low <= math.exp(truth) <= found.high
    assert 0.70 <= held / 200 <= 0.90


def test_a_model_is_as_good_as_itself() -> None:
    posts = scored(random_posts(30, seed=7))
    found = compare(posts, posts, seed=8)
    assert (found.difference, found.probability_better) == (0.0, 0.5)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_a_model_that_is_better_on_every_post_is_better_for_certain() -> None:
    better, worse = scored(random_posts(30, seed=9)), scored(random_posts(30, seed=9, shift=0.1))
    assert compare(better, worse, seed=10).probability_better == 1
    assert compare(worse, better, seed=10).probability_better == 0
    # 0.1 nats for each of five tokens on each ten bytes, in every resample.
    found = compare(better, worse, seed=10)
    for told in (found.difference, found.interval.low, found.interval.high):
        assert told == pytest.approx(-0.05 / math.log(2))


def test_pairing_sees_a_difference_that_two_intervals_hide() -> None:
    random = np.random.default_rng(11)
    posts = random_posts(200, seed=12)
    slightly_worse = [[cost + 0.03 + 0.05 * random.normal() for cost in post] for post in posts]
    one, other = intervals(scored(posts), seed=13), intervals(scored(slightly_worse), seed=13)
    assert one.bits_per_byte.high > other.bits_per_byte.low
    assert compare(scored(posts), scored(slightly_worse), seed=13).probability_better > 0.99


@pytest.mark.parametrize("posts", [[], [[1.0, 2.0]]])
def test_an_interval_of_fewer_than_two_posts_is_refused(posts: list[list[float]]) -> None:
    with pytest.raises(EvaluationError, match="at least 2 posts"):
        intervals(scored(posts), seed=1)


def test_costs_without_end_have_no_interval() -> None:
    finite, infinite = scored([[1.0], [2.0]]), scored([[1.0], [math.inf]])
    for refused in (
        lambda: intervals(infinite, seed=1),
        lambda: compare(finite, infinite, seed=1),
        lambda: compare(infinite, finite, seed=1),
    ):
        with pytest.raises(EvaluationError, match="rules out"):
            refused()


def test_other_posts_are_not_compared() -> None:
    posts = random_posts(3, seed=14)
    with pytest.raises(EvaluationError, match="same posts"):
        compare(scored(posts), scored(posts, sizes=[10, 10, 11]), seed=1)


@pytest.mark.parametrize("options", [{"seed": -1}, {"seed": 1, "resamples": 0}, {"seed": 1, "level": 1.0}])
def test_numbers_that_make_no_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="resamples"):
        intervals(scored([[1.0], [2.0]]), **options)
