"""Sentences and refusals on the wire."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from app.sampling.service import TEMPERATURE


class SentencesCreate(BaseModel):
    """What to sample. The same seed, model and parameters give the same sentences."""

    model_config = ConfigDict(extra="forbid")

    n: int = Field(default=1, ge=1, le=100, examples=[3], description="How many sentences.")
    prompt: str = Field(default="", examples=["The news"], description="What each sentence begins with.")
    temperature: float = Field(default=TEMPERATURE, ge=0, le=5, description="0: always the likeliest token.")
    top_k: int | None = Field(default=None, ge=1, description="Only the k likeliest tokens.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Only the likeliest tokens up to this mass.")
    max_characters: int = Field(default=280, ge=1, le=10_000, description="No sentence is longer, prompt included.")
    seed: int | None = Field(default=None, ge=0, lt=2**63, examples=[7], description="Random when left out.")


class SentenceOut(BaseModel):
    """One sentence. What it cost is counted after the prompt, its end included."""

    text: str
    log_probability: float = Field(description="Natural logarithm, under the model itself, before temperature.")
    perplexity: float


class SentencesOut(BaseModel):
    """Sentences, and what is needed to get them again."""

    model: int = Field(description="Number of the model version.")
    seed: int
    sentences: list[SentenceOut]


class RefusalsOut(BaseModel):
    """How often filters refused sentences."""

    since: date = Field(description="The first day that is counted, in UTC.")
    total: int
    reasons: dict[str, int] = Field(description="By reason, most often first.", examples=[{"copied": 12, "mention": 3}])
