import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ml.sampling.draw import draw


def logs(*probabilities: float) -> NDArray[np.float32]:
    """[1, V] float32."""
    with np.errstate(divide="ignore"):
        return np.log(np.array([probabilities], dtype=np.float32))


def reference(
    log_probs: NDArray[np.float32], *, temperature: float, top_k: int | None, top_p: float | None
) -> NDArray[np.float64]:
    """The distribution of one row ([V]), worked out token by token."""
    scaled = [float(x) / temperature for x in log_probs]
    weights = [math.exp(x - max(scaled)) for x in scaled]
    ranked = sorted(range(len(weights)), key=lambda token: (-weights[token], token))[:top_k]
    if top_p is not None:
        total, reached, kept = sum(weights[token] for token in ranked), 0.0, []
        for token in ranked:
            kept.append(token)
            reached += weights[token]
            if reached >= top_p * total:
                break
        ranked = kept
    kept_weights = np.array([weight if token in ranked else 0.0 for token, weight in enumerate(weights)])
    distribution: NDArray[np.float64] = kept_weights / kept_weights.sum()
    return distribution


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [None, 1, 4, 100])
@pytest.mark.parametrize("top_p", [None, 0.3, 0.8, 1.0])
def test_frequencies_are_those_of_the_distribution(temperature: float, top_k: int | None, top_p: float | None) -> None:
    source = np.random.default_rng(5)
    log_probs = source.normal(size=12).astype(np.float32)
    expected = reference(log_probs, temperature=temperature, top_k=top_k, top_p=top_p)
    n = 20_000
    rows = np.tile(log_probs, (n, 1))
    drawn = draw(rows, source.random(n), temperature=temperature, top_k=top_k, top_p=top_p)
    observed = np.bincount(drawn, minlength=12)
    kept = expected > 0
    assert not observed[~kept].any()
    chi_square = ((observed[kept] - n * expected[kept]) ** 2 / (n * expected[kept])).sum()
    freedom = int(kept.sum()) - 1
    assert chi_square <= freedom + 4 * math.sqrt(2 * freedom)


def test_a_draw_inverts_the_cumulative_sum() -> None:
    log_probs = np.repeat(logs(0.25, 0.0, 0.5, 0.25), 6, axis=0)
    uniforms = np.array([0.0, 0.24999, 0.25001, 0.74999, 0.75001, np.nextafter(1.0, 0.0)])
    assert draw(log_probs, uniforms).tolist() == [0, 0, 2, 2, 3, 3]


def test_temperature_zero_takes_the_most_probable_and_of_equals_the_first() -> None:
    assert draw(logs(0.1, 0.4, 0.4, 0.1), np.array([0.99]), temperature=0).tolist() == [1]


def test_next_to_no_temperature_is_as_good_as_none() -> None:
    assert draw(logs(0.1, 0.5, 0.4), np.array([0.99]), temperature=1e-300).tolist() == [1]


def support(log_probs: NDArray[np.float32], *, top_k: int | None = None, top_p: float | None = None) -> set[int]:
    uniforms = np.linspace(0, 1, 500, endpoint=False)
    return set(draw(np.repeat(log_probs, 500, axis=0), uniforms, top_k=top_k, top_p=top_p).tolist())


def test_top_k_keeps_exactly_k_also_among_equals() -> None:
    equals = logs(0.2, 0.2, 0.2, 0.2, 0.2)
    assert [support(equals, top_k=k) for k in (1, 3, 5, 9)] == [{0}, {0, 1, 2}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}]
    assert support(logs(0.125, 0.25, 0.125, 0.5), top_k=3) == {3, 1, 0}


def test_top_p_keeps_the_fewest_that_reach_p() -> None:
    log_probs = logs(0.125, 0.25, 0.0, 0.5, 0.125)
    assert support(log_probs, top_p=0.001) == {3}
    assert support(log_probs, top_p=0.4999) == {3}
    assert support(log_probs, top_p=0.51) == {3, 1}
    assert support(log_probs, top_p=0.76) == {3, 1, 0}
    assert support(log_probs, top_p=0.99) == {3, 1, 0, 4}
    assert support(log_probs, top_p=1.0) == {3, 1, 0, 4}


def test_top_p_is_taken_of_what_top_k_leaves() -> None:
    assert support(logs(0.4, 0.3, 0.2, 0.1), top_k=2, top_p=0.5) == {0}
    assert support(logs(0.4, 0.3, 0.2, 0.1), top_p=0.5) == {0, 1}


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.floats(-90, 0, width=32)),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.01, 5),
    st.none() | st.integers(1, 50),
    st.none() | st.floats(0.001, 1),
)
def test_a_row_is_drawn_alike_alone_and_in_a_batch_and_only_from_what_is_kept(
    log_probs: NDArray[np.float32], uniform: float, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    log_probs[1:, 0] = -np.inf if log_probs.shape[1] > 1 else 0
    uniforms = np.full(len(log_probs), uniform)
    drawn = draw(log_probs, uniforms, temperature=temperature, top_k=top_k, top_p=top_p)
    for row, token in enumerate(drawn):
        alone = draw(log_probs[[row]], uniforms[:1], temperature=temperature, top_k=top_k, top_p=top_p)
        assert alone[0] == token
        assert np.isfinite(log_probs[row, token])
        rank = int((log_probs[row] > log_probs[row, token]).sum())
        assert top_k is None or rank < top_k


def test_banned_tokens_are_never_drawn_whatever_is_asked() -> None:
    log_probs = logs(0.0, 0.5, 0.0, 0.5, 0.0)
    for top_k, top_p in ((None, None), (4, None), (None, 0.9), (4, 0.9), (2, 0.999999)):
        assert support(log_probs, top_k=top_k, top_p=top_p) == {1, 3}
