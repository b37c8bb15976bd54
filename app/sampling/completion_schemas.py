"""Completions and models on the wire, as OpenAI's API has them: what client libraries send and expect."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.errors import InvalidInput

MOST_CHOICES = 100
LONGEST_COMPLETION = 10_000


class StreamOptions(BaseModel):
    """What a stream tells beside its text."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = Field(default=False, description="Whether a last chunk counts the tokens.")


class CompletionCreate(BaseModel):
    """What to complete. A null is as good as nothing."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(examples=["trump"], description="A persona's handle.")
    prompt: str | list[str] = Field(default="", description="Where each text begins; a list is completed one by one.")
    n: int = Field(default=1, ge=1, le=MOST_CHOICES, description="How many completions of each prompt.")
    best_of: int | None = Field(default=None, description="Only as n.")
    max_tokens: int = Field(default=16, ge=0, le=LONGEST_COMPLETION, description="A completion is cut after so many.")
    temperature: float = Field(default=1.0, ge=0, le=2, description="0: always the likeliest token.")
    top_p: float = Field(default=1.0, gt=0, le=1, description="Only the likeliest tokens up to this mass.")
    stop: str | list[str] = Field(default=[], description="A completion ends before any of these.")
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63, description="The same seed gives the same text.")
    logprobs: int | None = Field(default=None, ge=0, le=5, description="How many alternatives to tell a token.")
    echo: bool = Field(default=False, description="Whether the text includes the prompt.")
    stream: bool = Field(default=False, description="Whether to answer as server-sent events.")
    stream_options: StreamOptions | None = None
    suffix: str = Field(default="", description="Not supported.")
    presence_penalty: float = Field(default=0, description="Not supported, except 0.")
    frequency_penalty: float = Field(default=0, description="Not supported, except 0.")
    logit_bias: dict[str, float] = Field(default={}, description="Not supported, except empty.")
    user: str | None = Field(default=None, description="Ignored.")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data

    @property
    def prompts(self) -> list[str]:
        """One or more."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def stops(self) -> tuple[str, ...]:
        """Any number."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def check(self) -> None:
        """Raises InvalidInput for what is not supported and what contradicts itself."""
        for name in ("suffix", "presence_penalty", "frequency_penalty", "logit_bias"):
            if getattr(self, name):
                raise InvalidInput.at(f"/{name}", f"{name} is not supported here. Leave it out.")
        if self.best_of not in {None, self.n}:
            raise InvalidInput.at("/best_of", "best_of is not supported here, except as n. Leave it out.")
        if self.stream_options is not None and not self.stream:
            raise InvalidInput.at("/stream_options", "stream_options goes with stream only. Leave it out.")
        if not 1 <= len(self.prompts) * self.n <= MOST_CHOICES:
            raise InvalidInput.at(
                "/prompt" if not self.prompts else "/n",
                f"{len(self.prompts)} prompts with n {self.n}: it must be 1 to {MOST_CHOICES} completions in all.",
            )


class Logprobs(BaseModel):
    """What each token of a choice cost, under the model itself (temperature 1, nothing left out).

    tokens join to the text, except that the last one may go beyond a stop string. text_offset counts characters of it.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class ChoiceOut(BaseModel):
    """One completion, or the next piece of it in a stream."""

    text: str
    index: int
    logprobs: Logprobs | None = None
    finish_reason: Literal["stop", "length"] | None = Field(description="null in a stream until its choice is over.")


class Usage(BaseModel):
    """Tokens, the end of a post counted where it was drawn. Attempts that were refused are not counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionOut(BaseModel):
    """An answer, or a chunk of a stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str = Field(description="The model version: the same one and the same seed give the same text.")
    choices: list[ChoiceOut]
    usage: Usage | None = None


class ModelOut(BaseModel):
    """A persona that can speak."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "mynah"


class ModelsOut(BaseModel):
    """All personas that can speak."""

    object: Literal["list"] = "list"
    data: list[ModelOut]
