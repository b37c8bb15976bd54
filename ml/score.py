"""Score(nats, tokens, bytes): what a text cost a model. Scores add up; perplexity and bits per byte divide once."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """The cost of a text under a model.

    nats: negative natural log-probability, summed over the tokens; infinite where one had probability 0. tokens: how
    many were predicted, `<eos>` included. bytes: UTF-8 length of the same text, a post ending with one newline byte.
    """

    nats: float
    tokens: int
    bytes: int

    def __add__(self, other: "Score") -> "Score":
        return Score(self.nats + other.nats, self.tokens + other.tokens, self.bytes + other.bytes)

    @property
    def perplexity(self) -> float:
        """exp of the mean cost of a token. Compares models that share a tokenizer.

        Infinite where a token had probability 0, and where the figure is too large for a float.
        """
        try:
            return math.exp(self.nats / self.tokens)
        except OverflowError:
            return math.inf

    @property
    def bits_per_byte(self) -> float:
        """Cost of a byte of text in bits. Compares models with different tokenizers."""
        return self.nats / math.log(2) / self.bytes


ZERO = Score(0.0, 0, 0)
