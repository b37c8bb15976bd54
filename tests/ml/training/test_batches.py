"""Columns and windows of truncated back-propagation through time."""

import numpy as np
import pytest

from ml.training.batches import LONGEST_WINDOW, PADDING, Batch, fitting_columns, post_batches, stream_batches

EOS = 9
Tokens = np.ndarray[tuple[int], np.dtype[np.int64]]


def stream(posts: int, *, longest: int = 6) -> Tokens:
    """Posts of 0 to `longest` tokens, each closed."""
    random = np.random.default_rng(1)
    parts = [np.append(random.integers(EOS, size=random.integers(longest + 1)), EOS) for _ in range(posts)]
    return np.concatenate(parts).astype(np.int64)


def posts_of(tokens: Tokens) -> list[list[int]]:
    return [part.tolist() for part in np.split(tokens, np.flatnonzero(tokens == EOS) + 1)[:-1]]


def columns_of(batches: list[Batch]) -> list[tuple[list[int], list[int]]]:
    """Inputs and targets of each column, put together over the batches that go on with it."""
    columns: list[tuple[list[int], list[int]]] = []
    open_columns: list[tuple[list[int], list[int]]] = []
    for batch in batches:
        if batch.begins:
            open_columns = [([], []) for _ in range(batch.inputs.shape[1])]
            columns += open_columns
        for column, inputs, targets in zip(open_columns, batch.inputs.T, batch.targets.T, strict=True):
            inside = targets != PADDING
            column[0].extend(inputs[inside].tolist())
            column[1].extend(targets[inside].tolist())
    return columns


@pytest.mark.parametrize("columns", [1, 3, 8])
@pytest.mark.parametrize("window", [1, 5, 1000])
def test_windows_of_a_stream_predict_every_token_once_from_the_one_before_it(columns: int, window: int) -> None:
    tokens = stream(40)
    found = columns_of(stream_batches(tokens, eos=EOS, columns=columns, window=window))
    assert [token for _, targets in found for token in targets] == tokens.tolist()
    assert [token for inputs, _ in found for token in inputs] == [EOS, *tokens[:-1]]


def test_random_windows_vary_around_their_length_and_lose_nothing() -> None:
    tokens = stream(4000)
    batches = stream_batches(tokens, eos=EOS, columns=2, window=40, random=np.random.default_rng(1))
    lengths = [len(batch.inputs) for batch in batches[:-1]]
    assert len(set(lengths)) > 5
    assert 35 < np.median(lengths) < 45
    assert min(lengths) < 25  # one in twenty is drawn around half
    assert [token for _, targets in columns_of(batches) for token in targets] == tokens.tolist()


@pytest.mark.parametrize("seed", [None, 1])
def test_posts_side_by_side_are_all_posts_each_read_from_its_start(seed: int | None) -> None:
    tokens = stream(200, longest=300)
    random = None if seed is None else np.random.default_rng(seed)
    batches = post_batches(tokens, eos=EOS, columns=8, window=16, random=random)
    found = columns_of(batches)
    assert sorted(targets for _, targets in found) == sorted(posts_of(tokens))
    assert all(inputs == [EOS, *targets[:-1]] for inputs, targets in found)
    assert max(len(batch.inputs) for batch in batches) == LONGEST_WINDOW


def test_posts_side_by_side_leave_little_padding_and_batches_of_one_size() -> None:
    tokens = stream(3000, longest=40)
    batches = post_batches(tokens, eos=EOS, columns=16, window=16, random=np.random.default_rng(1))
    assert max(batch.inputs.size for batch in batches) <= 256
    assert sum(batch.inputs.size for batch in batches) < 1.1 * len(tokens)


def test_random_order_decides_which_posts_meet_and_when_but_not_how_many_batches() -> None:
    tokens = stream(300)

    def pass_of(seed: int) -> list[list[list[int]]]:
        batches = post_batches(tokens, eos=EOS, columns=4, window=8, random=np.random.default_rng(seed))
        return [batch.targets.tolist() for batch in batches]

    assert pass_of(1) == pass_of(1)
    assert pass_of(1) != pass_of(2)
    assert len(pass_of(1)) == len(pass_of(2))


def test_a_short_text_is_read_in_fewer_columns() -> None:
    assert fitting_columns(10_000_000, columns=32, window=40) == 32
    assert fitting_columns(24_000, columns=32, window=40) == 20
    assert fitting_columns(10, columns=32, window=40) == 4
