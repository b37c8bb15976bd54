"""Trainings and model versions on the wire."""

import math
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.training.models import Epoch, Evaluation, ModelVersion, Training, TrainingStatus


class TrainingCreate(BaseModel):
    """A training to queue; what is left out gets its default."""

    model_config = ConfigDict(extra="forbid")

    preset: str | None = Field(default=None, max_length=50, examples=["lstm-kn5"], description="Default: lstm-kn5.")
    minutes: float | None = Field(
        default=None, gt=0, le=24 * 60, examples=[10], description="Budget. Default: MYNAH_TRAINING_MINUTES."
    )
    seed: int | None = Field(default=None, ge=0, lt=2**31, description="Random when left out.")


class EpochOut(BaseModel):
    """One pass over the corpus."""

    model_config = ConfigDict(from_attributes=True)

    epoch: int
    train_perplexity: float
    valid_perplexity: float
    seconds: float
    tokens_per_second: float


class TrainingOut(BaseModel):
    """A training and how far it is."""

    id: int
    preset: str
    minutes: float
    seed: int
    status: TrainingStatus
    progress: float = Field(ge=0, le=1)
    remaining_seconds: float | None
    epochs: list[EpochOut]
    model: int | None = Field(description="Number of the model version that came of it.")
    snapshot: str | None = Field(description="SHA-256 that names the exact set of posts.")
    error: dict[str, Any] | None = Field(description="A problem document, when status is `failed`.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, training: Training, *, epochs: list[Epoch], model: ModelVersion | None) -> "TrainingOut":
        return cls(
            id=training.id,
            preset=training.preset,
            minutes=training.minutes,
            seed=training.seed,
            status=TrainingStatus(training.status),
            progress=training.progress,
            remaining_seconds=training.remaining_seconds,
            epochs=[EpochOut.model_validate(epoch) for epoch in epochs],
            model=None if model is None else model.number,
            snapshot=training.snapshot_hash,
            error=training.error,
            created_at=training.created_at,
            started_at=training.started_at,
            finished_at=training.finished_at,
        )


class TrainingSummary(BaseModel):
    """A training in a list."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    preset: str
    status: TrainingStatus
    progress: float
    error: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


# JSON has no infinity.
Figure: TypeAlias = Annotated[float | None, BeforeValidator(lambda value: None if value == math.inf else value)]


class EvaluationOut(BaseModel):
    """Perplexity on one split. `bits_per_byte` compares models with different tokenizers.

    Both are null where they are infinite: the model gave a token of the split probability 0.
    """

    model_config = ConfigDict(from_attributes=True)

    split: str
    perplexity: Figure
    bits_per_byte: Figure
    tokens: int


class ModelOut(BaseModel):
    """A model version."""

    number: int
    preset: str
    parameters: int
    promoted: bool
    evaluations: list[EvaluationOut]
    created_at: datetime

    @classmethod
    def of(cls, version: ModelVersion, *, promoted: bool, evaluations: list[Evaluation]) -> "ModelOut":
        return cls(
            number=version.number,
            preset=version.preset,
            parameters=version.parameters,
            promoted=promoted,
            evaluations=[EvaluationOut.model_validate(evaluation) for evaluation in evaluations],
            created_at=version.created_at,
        )
