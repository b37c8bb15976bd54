"""Toy languages that tests of the models share. V tokens; EOS ends a post."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.language_model import LanguageModel, TokenArray
from ml.models.recurrent_stepper import RecurrentLanguageModel

EOS, V = 0, 30


def random_tokens(seed: int, *, posts: int) -> TokenArray:
    """Posts of a skewed, history-dependent toy language; ids near V-1 are never said."""
    source = np.random.default_rng(seed)
    tokens: list[int] = []
    for _ in range(posts):
        word = int(source.integers(1, 5))
        for _ in range(int(source.integers(0, 12))):
            word = min(1 + (word * 3 + int(source.geometric(0.35))) % 40, V - 4)
            tokens.append(word)
        tokens.append(EOS)
    return np.array(tokens, dtype=np.int64)


def sentences(tokens: TokenArray) -> Iterator[list[int]]:
    """The posts of a stream, each with its `<eos>`."""
    sentence: list[int] = []
    for token in tokens.tolist():
        sentence.append(token)
        if token == EOS:
            yield sentence
            sentence = []


def read_one_by_one(model: LanguageModel, tokens: TokenArray) -> NDArray[np.float32]:
    """[T, V]: what the model expected before each token."""
    state: Any = model.initial_state(1)
    previous, rows = EOS, []
    for token in tokens.tolist():
        log_probs, state = model.step(np.array([previous]), state)
        rows.append(log_probs[0])
        previous = token
    return np.array(rows)


def recurrent_model(seed: int = 0, *, context: str = "post", hidden_size: int = 7) -> RecurrentLanguageModel:
    """An LSTM that was never trained: its distributions differ from place to place, and that is enough."""
    noise = np.random.default_rng(seed)
    E, H = 5, hidden_size
    shapes = {
        "embedding": (V, E),
        "output_bias": (V,),
        "projection": (E, H),
        "cells.0.input": (4 * H, E),
        "cells.0.recurrent": (4 * H, H),
        "cells.0.bias": (4 * H,),
    }
    arrays = {name: noise.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return RecurrentLanguageModel(arrays, cell="lstm", eos=EOS, context=context)
