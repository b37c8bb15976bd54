"""Sentences and refusals on the wire."""

from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from app.sampling.service import TEMPERATURE
from ml.sampling.sentence import Sentence


class ControlsIn(BaseModel):
    """How sentences are drawn; docs/sampling.md tells each control and the order in which they apply."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(default="", examples=["The news"], description="What each sentence begins with.")
    temperature: float = Field(default=TEMPERATURE, ge=0, le=5, description="0: always the likeliest token.")
    top_k: int | None = Field(default=None, ge=1, description="Only the k likeliest tokens.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Only the likeliest tokens up to this mass.")
    typical_p: float | None = Field(default=None, gt=0, le=1, description="Only the most typical up to this mass.")
    min_p: float | None = Field(
        default=None, ge=0, le=1, description="Only those at least this share as likely as the top."
    )
    repetition_penalty: float = Field(default=1.0, ge=1, le=10, description="Above 1: what was said comes less again.")
    stop: tuple[str, ...] = Field(default=(), max_length=16, description="A sentence ends before any of these.")
    min_characters: int = Field(default=0, ge=0, le=10_000, description="No sentence is shorter, prompt included.")
    max_characters: int = Field(default=280, ge=1, le=10_000, description="No sentence is longer, prompt included.")
    counted_as: str = Field(default="characters", description="characters, or as mastodon, bluesky or x count them.")
    max_tokens: int | None = Field(default=None, ge=1, le=10_000, description="A sentence is cut after so many tokens.")
    banned_words: tuple[str, ...] = Field(default=(), max_length=1000, description="Words that are never said.")
    banned_patterns: tuple[str, ...] = Field(
        default=(), max_length=32, description="Patterns (RE2) that no sentence matches."
    )
    required: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        examples=[["#news"]],
        description="Hashtags or mentions; each sentence has one of them.",
    )


class SentencesCreate(ControlsIn):
    """What to sample. The same seed, model and parameters give the same sentences."""

    n: int = Field(default=1, ge=1, le=100, examples=[3], description="How many sentences.")
    seed: int | None = Field(default=None, ge=0, lt=2**63, examples=[7], description="Random when left out.")

    @property
    def controls(self) -> dict[str, Any]:
        """What ml.sampling.controls.Controls takes."""
        return self.model_dump(exclude={"n", "seed"})


class SentenceOut(BaseModel):
    """One sentence. What it cost is counted after the prompt, its end included."""

    text: str
    log_probability: float = Field(description="Natural logarithm, under the model itself, before temperature.")
    perplexity: float
    tokens: int = Field(description="How many were said after the prompt, the end counted.")
    finish: str = Field(description="end: by itself; stop: before a stop string; length: cut at max_tokens.")

    @classmethod
    def of(cls, sentence: Sentence) -> Self:
        """A sentence as it goes over the wire."""
        return cls(
            text=sentence.text,
            log_probability=sentence.log_probability,
            perplexity=sentence.perplexity,
            tokens=sentence.tokens,
            finish=sentence.finish,
        )


class SentencesOut(BaseModel):
    """Sentences, and what is needed to get them again."""

    model: int = Field(description="Number of the model version.")
    seed: int
    sentences: list[SentenceOut]
    given_up: dict[str, int] = Field(description="How many attempts were given up on the way, by reason.")


class RefusalsOut(BaseModel):
    """How often filters refused sentences."""

    since: date = Field(description="The first day that is counted, in UTC.")
    total: int
    reasons: dict[str, int] = Field(description="By reason, most often first.", examples=[{"copied": 12, "mention": 3}])
