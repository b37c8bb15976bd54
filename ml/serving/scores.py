"""What each token of a text costs a speaker, stepped as it is when sentences are drawn."""

from typing import Final

import numpy as np

from ml.language_model import FloatArray, TokenArray, post_bounds
from ml.serving.speaker import Speaker

_ROWS: Final = 64


def score(speaker: Speaker, tokens: TokenArray, *, eos: int) -> FloatArray:
    """Log-probability of each token of a stream of posts, each read from the start: [T] int64 → [T] float32.

    Posts are read side by side, the longest first, so that rows come to their end one after the other.
    """
    scored = np.empty(len(tokens), dtype=np.float32)
    starts, lengths = post_bounds(tokens, eos=eos)
    order = np.argsort(-lengths, kind="stable")
    for first in range(0, len(order), _ROWS):
        chosen = order[first : first + _ROWS]
        _read(speaker, tokens, scored, starts=starts[chosen], lengths=lengths[chosen], eos=eos)
    return scored


def _read(
    speaker: Speaker, tokens: TokenArray, scored: FloatArray, *, starts: TokenArray, lengths: TokenArray, eos: int
) -> None:
    """Fill in the costs of some posts, given longest first."""
    state = speaker.initial_state(len(starts))
    read = np.full(len(starts), eos, dtype=np.int64)
    for t in range(lengths.max(initial=0)):
        going_on = int(np.searchsorted(-lengths, -t, side="left"))  # rows longer than t
        if going_on < len(read):
            read, state = read[:going_on], state.take(np.arange(going_on))
        probabilities, state = speaker.step(read, state)
        places = starts[:going_on] + t
        read = tokens[places]
        scored[places] = np.log(probabilities[np.arange(going_on), read])
