"""Windows of truncated back-propagation through time."""

import numpy as np
import pytest

from ml.training.batches import PADDING, fitting_columns, in_columns, shuffled

EOS = 9


def stream(posts: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Posts of 0 to 6 tokens, each closed."""
    random = np.random.default_rng(1)
    parts = [np.append(random.integers(EOS, size=random.integers(7)), EOS) for _ in range(posts)]
    return np.concatenate(parts).astype(np.int64)


@pytest.mark.parametrize("columns", [1, 3, 8])
@pytest.mark.parametrize("length", [1, 5, 1000])
def test_windows_predict_every_token_once_from_the_one_before_it(columns: int, length: int) -> None:
    tokens = stream(40)
    windows = list(in_columns(tokens, columns=columns, eos=EOS).windows(length))
    targets = np.concatenate([window for _, window in windows]).T.flatten()
    inputs = np.concatenate([window for window, _ in windows]).T.flatten()
    np.testing.assert_array_equal(targets[targets != PADDING], tokens)
    np.testing.assert_array_equal(inputs[targets != PADDING], [EOS, *tokens[:-1]])


def test_windows_begun_later_are_the_last_of_all_windows() -> None:
    columns = in_columns(stream(40), columns=3, eos=EOS)
    every, later = list(columns.windows(5)), list(columns.windows(5, start=2))
    assert len(later) == len(every) - 2
    np.testing.assert_array_equal(later[0][0], every[2][0])


def test_shuffling_moves_whole_posts_and_loses_none() -> None:
    tokens = stream(40)

    def posts(of: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[list[int]]:
        return [part.tolist() for part in np.split(of, np.flatnonzero(of == EOS) + 1)[:-1]]

    moved = shuffled(tokens, eos=EOS, seed=1, epoch=1)
    assert posts(moved) != posts(tokens)
    assert sorted(posts(moved)) == sorted(posts(tokens))


def test_the_order_is_decided_by_seed_and_epoch() -> None:
    tokens = stream(40)
    first = shuffled(tokens, eos=EOS, seed=1, epoch=1)
    np.testing.assert_array_equal(first, shuffled(tokens, eos=EOS, seed=1, epoch=1))
    assert not np.array_equal(first, shuffled(tokens, eos=EOS, seed=1, epoch=2))
    assert not np.array_equal(first, shuffled(tokens, eos=EOS, seed=2, epoch=1))


def test_a_short_text_is_read_in_fewer_columns() -> None:
    assert fitting_columns(10_000_000, columns=32, window=40) == 32
    assert fitting_columns(24_000, columns=32, window=40) == 20
    assert fitting_columns(10, columns=32, window=40) == 4
