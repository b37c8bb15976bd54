"""Sentence: one sample. Finish: how it ended. Flaw: why an attempt at it was given up."""

import math
from dataclasses import dataclass
from enum import StrEnum

from ml.sampling.alternatives import Alternatives


class Finish(StrEnum):
    """How a sentence ended."""

    END = "end"
    """By `<eos>`."""
    STOP = "stop"
    """Before a stop string."""
    LENGTH = "length"
    """At max_tokens."""


class Flaw(StrEnum):
    """Why an attempt is given up, as an error message says it after a number."""

    TOO_LONG = "longer than max_characters"
    TOO_SHORT = "shorter than min_characters"
    BLANK = "blank"
    BROKEN = "not valid UTF-8"
    UNTAGGED = "without a required tag"
    STUCK = "at a word after which there is none to say"
    BANNED = "with a banned word or pattern"

    @property
    def slug(self) -> str:
        """The name by which it is counted."""
        return self.name.lower()

    @classmethod
    def by_slug(cls) -> dict[str, "Flaw"]:
        return {flaw.slug: flaw for flaw in cls}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sample from a model.

    text: prompt and what was said after it. token_ids: what was said after the prompt, `<eos>` included.
    log_probabilities: natural, of each of them under the model itself (temperature 1, nothing left out).
    alternatives: the likeliest tokens at the place of each, where they were asked for.
    """

    text: str
    token_ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    finish: Finish
    alternatives: tuple[Alternatives, ...] = ()

    @property
    def log_probability(self) -> float:
        """Of all that was said, natural."""
        return sum(self.log_probabilities)

    @property
    def tokens(self) -> int:
        """How many were said, `<eos>` counted."""
        return len(self.token_ids)

    @property
    def perplexity(self) -> float:
        """exp of the mean cost of a token."""
        return math.exp(-self.log_probability / self.tokens)
