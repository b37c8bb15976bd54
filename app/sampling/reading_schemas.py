"""Texts that are read, on the wire."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from app.sampling.attribution import MOST_PERSONAS, Candidate
from app.sampling.scores import LONGEST_TEXT, ScoredText

_TEXT = f"One post, of {LONGEST_TEXT} characters at most."
_NULL = "null where the model gives the text a probability of 0."


class ScoreCreate(BaseModel):
    """What to score."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(examples=["The cat sings at night."], description=_TEXT)


class TokenOut(BaseModel):
    """One token. The texts of all join to the text as the model reads it."""

    text: str = Field(description="Empty for the end of the post, and for a part of a character before its last one.")
    surprisal: float | None = Field(description=f"In nats. {_NULL}")


class ScoreOut(BaseModel):
    """What a text costs a persona's model."""

    model: int = Field(description="Number of the model version.")
    perplexity: float | None = Field(description=f"A token. {_NULL}")
    bits_per_byte: float | None = Field(description=f"Of the text and one newline. {_NULL}")
    nats: float | None = Field(description=_NULL)
    bytes: int
    unknown_words: int = Field(description="Words outside a closed vocabulary; each is read as the same `<unk>`.")
    tokens: list[TokenOut] = Field(description="All that were predicted, the end of the post last.")

    @classmethod
    def of(cls, scored: ScoredText) -> Self:
        """A score as it goes over the wire."""
        score = scored.score
        return cls(
            model=scored.version.number,
            perplexity=_finite(score.perplexity),
            bits_per_byte=_finite(score.bits_per_byte),
            nats=_finite(score.nats),
            bytes=score.bytes,
            unknown_words=scored.unknown_words,
            tokens=[TokenOut(text=token.text, surprisal=_finite(token.nats)) for token in scored.tokens],
        )


class AttributionCreate(BaseModel):
    """What to attribute, and to whom."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(examples=["The cat sings at night."], description=_TEXT)
    handles: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_PERSONAS,
        examples=[["trump", "sakamoto"]],
        description="Personas to compare; left out, all that have a model.",
    )


class CandidateOut(BaseModel):
    """One persona and how probable it is that the text is its own."""

    handle: str
    model: int = Field(description="Number of the model version.")
    probability: float = Field(description="Among those compared, each as likely beforehand.")
    bits_per_byte: float | None = Field(description=f"Words outside a closed vocabulary spelt. {_NULL}")

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        """A candidate as it goes over the wire."""
        return cls(
            handle=candidate.handle,
            model=candidate.model,
            probability=candidate.probability,
            bits_per_byte=_finite(candidate.score.bits_per_byte),
        )


class AttributionOut(BaseModel):
    """Who may have written the text."""

    candidates: list[CandidateOut] = Field(description="The most probable first.")


def _finite(figure: float) -> float | None:
    """JSON has no infinity."""
    return None if figure == float("inf") else figure
