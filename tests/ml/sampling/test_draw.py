import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ml.sampling.draw import draw, penalise
from ml.sampling.shape import Shape

FloatRows = NDArray[np.float32]

ALMOST_ONE = float(np.nextafter(1.0, 0.0))


def row(*probabilities: float) -> FloatRows:
    """[1, V] float32."""
    return np.array([probabilities], dtype=np.float32)


def ranked_until(ranked: Sequence[int], weights: Sequence[float], *, share: float) -> list[int]:
    """The shortest beginning of a ranking that reaches a share of what all of it weighs."""
    total, reached = math.fsum(weights[token] for token in ranked), 0.0
    for count, token in enumerate(ranked, 1):
        reached += weights[token]
        if reached >= share * total:
            return list(ranked[:count])
    return list(ranked)


def most_typical(tokens: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Tokens by how far their surprisal is from the entropy of what they make up."""
    total = math.fsum(weights[token] for token in tokens)
    surprisals = {token: -math.log(weights[token] / total) for token in tokens}
    entropy = math.fsum(weights[token] / total * surprisals[token] for token in tokens)
    return sorted(tokens, key=lambda token: (abs(surprisals[token] - entropy), token))


def reference(probabilities: Sequence[float], shape: Shape) -> list[float]:
    """The distribution of one row, worked out token by token."""
    largest = max(probabilities)
    weights = [(p / largest) ** (1 / shape.temperature) for p in probabilities]
    kept = sorted((token for token, w in enumerate(weights) if w > 0), key=lambda token: (-weights[token], token))
    kept = kept[: shape.top_k]
    if shape.top_p is not None:
        kept = ranked_until(kept, weights, share=shape.top_p)
    if shape.typical_p is not None:
        kept = ranked_until(most_typical(kept, weights), weights, share=shape.typical_p)
    if shape.min_p is not None:
        heaviest = max(weights[token] for token in kept)
        kept = [token for token in kept if weights[token] >= shape.min_p * heaviest]
    total = math.fsum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(weights))]


def assert_drawn_as(probabilities: FloatRows, shape: Shape, *, n: int = 8_000) -> None:
    """Chi-square of n draws against the distribution by enumeration; what has no probability is never drawn."""
    expected = np.array(reference(probabilities[0].tolist(), shape))
    uniforms = np.random.default_rng(7).random(n)
    drawn = draw(np.repeat(probabilities, n, axis=0), uniforms, [shape] * n)
    observed = np.bincount(drawn, minlength=len(expected))
    kept = expected > 0
    assert not observed[~kept].any()
    chi_square = ((observed[kept] - n * expected[kept]) ** 2 / (n * expected[kept])).sum()
    freedom = int(kept.sum()) - 1
    assert chi_square <= freedom + 4 * math.sqrt(2 * freedom)


def random_row(size: int, *, seed: int = 5, spread: float = 1.0) -> FloatRows:
    weights = np.exp(spread * np.random.default_rng(seed).normal(size=size))
    return np.array([weights / weights.sum()], dtype=np.float32)


EACH_ALONE = [
    Shape(),
    *(Shape(temperature=t) for t in (0.3, 0.5, 0.8, 1.25, 2.0, 30.0)),
    *(Shape(top_k=k) for k in (1, 4, 100)),
    *(Shape(top_p=p) for p in (0.3, 0.8, 0.999, 1.0)),
    *(Shape(typical_p=p) for p in (0.1, 0.5, 0.9, 1.0)),
    *(Shape(min_p=p) for p in (0.0, 0.05, 0.5, 1.0)),
]

COMBINED = [
    Shape(temperature, top_k, top_p=top_p, typical_p=typical_p, min_p=min_p)
    for temperature, top_k, top_p, typical_p, min_p in itertools.product(
        (0.7, 1.6), (None, 9), (None, 0.85), (None, 0.7), (None, 0.2)
    )
]


@pytest.mark.parametrize("shape", [*EACH_ALONE, *COMBINED], ids=repr)
def test_frequencies_are_those_of_the_distribution(shape: Shape) -> None:
    assert_drawn_as(random_row(12), shape)


@pytest.mark.parametrize("size", [63, 64, 65, 128, 200])
@pytest.mark.parametrize("shape", [Shape(), Shape(0.8), Shape(0.8, typical_p=0.8), Shape(0.8, 50, top_p=0.9)], ids=repr)
def test_frequencies_are_right_however_the_vocabulary_falls_into_blocks(size: int, shape: Shape) -> None:
    assert_drawn_as(random_row(size), shape)


def test_rows_need_not_be_normalised() -> None:
    for factor in (1e-30, 1e-6, 1e20):
        scaled = random_row(12) * np.float32(factor)
        for shape in (Shape(), Shape(0.5), Shape(3.0), Shape(0.8, top_p=0.8), Shape(typical_p=0.6)):
            assert_drawn_as(scaled, shape, n=5_000)


def test_a_draw_inverts_the_cumulative_sum() -> None:
    uniforms = np.array([0.0, 0.24999, 0.25, 0.74999, 0.75001, ALMOST_ONE])
    assert draw(np.repeat(row(0.25, 0.0, 0.5, 0.25), 6, axis=0), uniforms, [Shape()] * 6).tolist() == [0, 0, 2, 2, 3, 3]
    wide = np.zeros((4, 300), dtype=np.float32)
    wide[:, [70, 130, 299]] = 0.25, 0.5, 0.25
    assert draw(wide, np.array([0.0, 0.25, 0.75, ALMOST_ONE]), [Shape()] * 4).tolist() == [70, 130, 299, 299]


def test_temperature_zero_takes_the_most_probable_and_of_equals_the_first() -> None:
    assert draw(row(0.1, 0.4, 0.4, 0.1), np.array([0.99]), [Shape(0)]).tolist() == [1]
    both = np.repeat(row(0.1, 0.4, 0.4, 0.1), 3, axis=0)
    assert draw(both, np.array([0.99] * 3), [Shape(), Shape(0, 1, top_p=0.1), Shape(2)]).tolist() == [3, 1, 3]


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-30])
def test_next_to_no_temperature_is_as_good_as_none(temperature: float) -> None:
    assert draw(row(0.1, 0.5, 0.4), np.array([0.99]), [Shape(temperature)]).tolist() == [1]


@pytest.mark.parametrize("temperature", [1e30, 1e300, 1.7e308])
def test_endless_temperature_makes_all_that_is_possible_equal(temperature: float) -> None:
    probabilities = np.repeat(row(1e-38, 0.0, 1.0, 1e-6), 3, axis=0)
    drawn = draw(probabilities, np.array([0.2, 0.5, 0.8]), [Shape(temperature)] * 3)
    assert drawn.tolist() == [0, 2, 3]


def support(probabilities: FloatRows, shape: Shape) -> set[int]:
    n = 500
    uniforms = np.linspace(0, 1, n, endpoint=False)
    return set(draw(np.repeat(probabilities, n, axis=0), uniforms, [shape] * n).tolist())


def test_top_k_keeps_exactly_k_also_among_equals() -> None:
    equals = row(0.2, 0.2, 0.2, 0.2, 0.2)
    kept = [support(equals, Shape(top_k=k)) for k in (1, 3, 5, 9)]
    assert kept == [{0}, {0, 1, 2}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}]
    assert support(row(0.125, 0.25, 0.125, 0.5), Shape(top_k=3)) == {3, 1, 0}


def test_top_p_keeps_the_fewest_that_reach_p() -> None:
    probabilities = row(0.125, 0.25, 0.0, 0.5, 0.125)
    for top_p, kept in ((0.001, {3}), (0.4999, {3}), (0.51, {3, 1}), (0.76, {3, 1, 0}), (0.99, {3, 1, 0, 4})):
        assert support(probabilities, Shape(top_p=top_p)) == kept


def test_typical_leaves_out_the_most_probable_where_that_is_not_typical() -> None:
    """Of entropy 2.15 bits, a token of 1/2 is further from it than one of 1/8 or of 1/4."""
    probabilities = row(0.5, *[0.125] * 2, *[0.0625] * 4)
    assert support(probabilities, Shape(typical_p=0.2)) == {1, 2}
    assert support(probabilities, Shape(typical_p=0.1)) == {1}


def test_typical_orders_equals_by_id() -> None:
    equals = row(*[0.1] * 10)
    assert support(equals, Shape(typical_p=0.35)) == {0, 1, 2, 3}


def test_min_p_is_measured_by_the_most_probable_that_is_left() -> None:
    assert support(row(0.5, 0.3, 0.15, 0.05), Shape(min_p=0.5)) == {0, 1}
    assert support(row(0.25, 0.25, 0.25, 0.25), Shape(min_p=1.0)) == {0, 1, 2, 3}
    # Typical sampling leaves 0.15 and 0.3 alone; measured by 0.5, neither would reach 0.7 of it.
    probabilities = row(0.5, *[0.125] * 2, *[0.0625] * 4)
    assert support(probabilities, Shape(typical_p=0.2, min_p=0.7)) == {1, 2}


def test_each_truncation_takes_what_the_one_before_left_as_the_whole() -> None:
    probabilities = row(0.4, 0.3, 0.2, 0.1)
    assert support(probabilities, Shape(top_p=0.5)) == {0, 1}
    assert support(probabilities, Shape(top_k=2, top_p=0.5)) == {0}


shapes = st.builds(
    Shape,
    temperature=st.sampled_from([0.0, 0.8, 1.0]) | st.floats(1e-3, 50),
    top_k=st.none() | st.integers(1, 400),
    top_p=st.none() | st.floats(1e-6, 1),
    typical_p=st.none() | st.floats(1e-6, 1),
    min_p=st.none() | st.floats(0, 1),
)
noise = st.sampled_from([0.0, ALMOST_ONE]) | st.floats(0, ALMOST_ONE)
weight_rows = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 300)),
    elements=st.sampled_from([0.0, 1.0, 0.25]) | st.floats(0, 1, width=32),
    fill=st.sampled_from([0.0, 0.125]),
)


@settings(max_examples=300)
@given(weight_rows, st.data())
def test_a_row_is_drawn_alike_alone_and_in_any_batch_and_never_what_has_no_probability(
    probabilities: FloatRows, data: st.DataObject
) -> None:
    B, V = probabilities.shape
    probabilities[probabilities.max(axis=1) == 0, V // 2] = 0.5
    asked = data.draw(st.lists(shapes, min_size=B, max_size=B))
    uniforms = np.array(
        data.draw(st.lists(st.sampled_from([0.0, ALMOST_ONE]) | st.floats(0, ALMOST_ONE), min_size=B, max_size=B))
    )
    drawn = draw(probabilities.copy(), uniforms, asked)
    for index, token in enumerate(drawn):
        assert probabilities[index, token] > 0
        assert draw(probabilities[[index]], uniforms[[index]], [asked[index]])[0] == token
        rank = int((probabilities[index] > probabilities[index, token]).sum())
        assert rank < (asked[index].top_k or V)


def test_rows_of_a_real_size_are_drawn_alike_alone_and_in_any_batch() -> None:
    source = np.random.default_rng(3)
    B, V = 37, 5003
    weights = np.exp(3 * source.normal(size=(B, V))).astype(np.float32)
    weights[:, ::7] = 0
    asked = [(EACH_ALONE + COMBINED)[index % (len(EACH_ALONE) + len(COMBINED))] for index in range(B)]
    uniforms = source.random(B)
    together = draw(weights.copy(), uniforms, asked)
    backwards = draw(weights[::-1].copy(), uniforms[::-1], asked[::-1])[::-1]
    alone = [draw(weights[[index]], uniforms[[index]], [asked[index]])[0] for index in range(B)]
    assert together.tolist() == backwards.tolist() == alone
    assert (weights[np.arange(B), together] > 0).all()


def test_the_end_of_a_block_is_never_drawn_past() -> None:
    """Sums in float32 and in float64 differ: whoever mixes them up falls into the zeros behind the last weight."""
    source = np.random.default_rng(9)
    for _ in range(200):
        weights = np.zeros((32, 192), dtype=np.float32)
        weights[:, 3:60] = source.random((32, 57)) ** 8
        weights[:, 130:135] = source.random((32, 5)).astype(np.float32) * np.float32(1e-7)
        kept = weights.copy()
        drawn = draw(weights, np.full(32, ALMOST_ONE), [Shape()] * 32)
        assert (kept[np.arange(32), drawn] > 0).all()


def test_no_rows_are_no_tokens() -> None:
    assert draw(np.zeros((0, 9), dtype=np.float32), np.zeros(0), []).tolist() == []


def test_what_was_said_has_its_probability_raised_to_the_penalty() -> None:
    probabilities = np.repeat(row(0.5, 0.25, 0.25, 0.0), 3, axis=0)
    penalise(probabilities, [[1, 1, 3], [0, 1], []], [2.0, 1.0, 3.0])
    assert probabilities.tolist() == [[0.5, 0.0625, 0.25, 0.0], [0.5, 0.25, 0.25, 0.0], [0.5, 0.25, 0.25, 0.0]]


def test_what_is_possible_stays_possible_under_any_penalty() -> None:
    probabilities = row(0.0, 1e-3, 1e-45, 0.0)
    penalise(probabilities, [[0, 1, 2]], [1e6])
    assert (probabilities > 0).tolist() == [[False, True, True, False]]
    assert draw(probabilities, np.array([0.5]), [Shape()]).tolist() == [1]


def test_a_penalty_and_the_controls_are_one_distribution() -> None:
    probabilities, n = random_row(8), 20_000
    said, penalty = [2, 5], 1.7
    expected = [p**penalty if token in said else p for token, p in enumerate(probabilities[0].tolist())]
    shape = Shape(0.7, top_k=6, min_p=0.02)
    rows = np.repeat(probabilities, n, axis=0)
    penalise(rows, [said] * n, [penalty] * n)
    assert rows[0].tolist() == pytest.approx(expected, rel=1e-6)
    assert_drawn_as(rows[:1], shape)
    assert reference(expected, shape) != reference(probabilities[0].tolist(), replace(shape))
