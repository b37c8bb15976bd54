"""Voice: a speaker with its tokenizer, and the moment from which every text of it begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ml.language_model import FloatArray, TokenArray
from ml.serving.speaker import Speaker
from ml.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Moment:
    """B texts on their way. probabilities: [B, V] of each row's next token; state: after all that was read."""

    probabilities: FloatArray
    state: Any

    def __len__(self) -> int:
        return len(self.probabilities)

    def take(self, rows: Sequence[int]) -> Self:
        index = np.array(rows, dtype=np.int64)
        return type(self)(self.probabilities[index], self.state.take(index))

    @classmethod
    def join(cls, moments: Sequence[Self]) -> Self:
        if len(moments) == 1:
            return moments[0]
        joined = type(moments[0].state).join([moment.state for moment in moments])
        return cls(np.concatenate([moment.probabilities for moment in moments]), joined)


class Voice:
    """What sentences are drawn from. Used by one thread at a time."""

    def __init__(self, speaker: Speaker, tokenizer: Tokenizer) -> None:
        self.speaker = speaker
        self.tokenizer = tokenizer
        self.never_spoken = np.array(tokenizer.never_spoken, dtype=np.int64)

    @property
    def mentions(self) -> TokenArray:
        """Ids of the tokens that hold an @, with which a mention begins."""
        return self._seen_in_tokens[0]

    @property
    def longest_token(self) -> int:
        """Characters of the longest token."""
        return self._seen_in_tokens[1]

    @cached_property
    def _seen_in_tokens(self) -> tuple[TokenArray, int]:
        texts = (self.tokenizer.decode([token]) for token in range(self.tokenizer.vocabulary_size))
        mentions, longest = [], 0
        for token, text in enumerate(texts):
            longest = max(longest, len(text))
            if "@" in text:
                mentions.append(token)
        return np.array(mentions, dtype=np.int64), longest

    @cached_property
    def start(self) -> Moment:
        """One row that has read `<eos>`: a post begins."""
        return self.read(np.array([self.tokenizer.eos]), self.speaker.initial_state(1))

    def read(self, tokens: TokenArray, state: Any) -> Moment:
        """The moment after one more token a row: [B] int64."""
        return Moment(*self.speaker.step(tokens, state))
