"""What every LanguageModel owes, whatever it is made of: checked against itself, a row and a token at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.language_model import LanguageModel, TokenArray
from tests.ml.models.languages import EOS, V, read_one_by_one


def check_distributions(model: LanguageModel, tokens: TokenArray, *, atol: float = 2e-5) -> None:
    """Every step is a distribution, and gives the token that comes what `score` gives it."""
    log_probs = read_one_by_one(model, tokens)
    assert log_probs.dtype == model.score(tokens).dtype == np.float32
    assert log_probs.shape == (len(tokens), V)
    np.testing.assert_allclose(np.exp(log_probs.astype(np.float64)).sum(axis=1), 1, atol=atol)
    np.testing.assert_allclose(log_probs[np.arange(len(tokens)), tokens], model.score(tokens), atol=atol)
    assert model.score(tokens[:0]).shape == (0,)


def check_rows(model: LanguageModel, streams: TokenArray, *, atol: float = 2e-6) -> None:
    """Rows read side by side are what each is alone, also when taken, doubled, and joined with rows of another age.

    streams: [B, T] int64, of different posts.
    """
    B, T = streams.shape
    alone = np.array([read_one_by_one(model, row) for row in streams])  # [B, T, V]
    state = model.initial_state(B)
    read = np.concatenate([np.full((B, 1), EOS), streams[:, :-1]], axis=1)
    half = T // 2
    for t in range(half):
        log_probs, state = model.step(read[:, t], state)
        np.testing.assert_allclose(log_probs, alone[:, t], atol=atol)
    _check_a_step_changes_nothing(model, read[:, half], state)
    younger: Any = model.initial_state(1)
    rows = np.array([B - 1, 0, B - 1])
    joined = type(state).join([state.take(rows), younger, state.take(np.array([], dtype=np.int64))])
    for t in range(half, T):
        tokens = np.concatenate([read[rows, t], read[:1, t - half]])
        log_probs, joined = model.step(tokens, joined)
        expected = np.concatenate([alone[rows, t], alone[:1, t - half]])
        np.testing.assert_allclose(log_probs, expected, atol=atol)


def _check_a_step_changes_nothing(model: LanguageModel, tokens: TokenArray, state: Any) -> None:
    first, _ = model.step(tokens, state)
    kept: NDArray[np.float32] = first.copy()
    model.step(tokens[::-1].copy(), state)
    again, _ = model.step(tokens, state)
    np.testing.assert_array_equal(again, kept)
