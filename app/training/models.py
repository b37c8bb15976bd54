"""Tables of trainings, epochs, model versions, evaluations and promotions."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.orm import Id, Table


class TrainingStatus(StrEnum):
    """How far a training is; the values are what the API says."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# RUNNING → RUNNING: another worker takes over from a dead one. RUNNING → QUEUED: a worker that stops lets go.
MOVES: dict[TrainingStatus, set[TrainingStatus]] = {
    TrainingStatus.QUEUED: {TrainingStatus.RUNNING, TrainingStatus.CANCELLED},
    TrainingStatus.RUNNING: {
        TrainingStatus.RUNNING,
        TrainingStatus.QUEUED,
        TrainingStatus.SUCCEEDED,
        TrainingStatus.FAILED,
        TrainingStatus.CANCELLED,
    },
    TrainingStatus.SUCCEEDED: set(),
    TrainingStatus.FAILED: set(),
    TrainingStatus.CANCELLED: set(),
}


class Training(Table):
    """One run. `attempt` counts the workers that took it up: only the latest may still write (a fencing token).

    `champion_id` is the version that was served when the snapshot was taken: the result is compared with it.
    """

    __tablename__ = "trainings"

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"), index=True)
    preset: Mapped[str]
    minutes: Mapped[float]
    seed: Mapped[int]
    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    progress: Mapped[float] = mapped_column(default=0.0)
    remaining_seconds: Mapped[float | None]
    corpus_posts: Mapped[int]
    snapshot_hash: Mapped[str | None]
    champion_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id", ondelete="SET NULL"))
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Epoch(Table):
    """One pass of a training over its corpus."""

    __tablename__ = "epochs"

    training_id: Mapped[int] = mapped_column(ForeignKey("trainings.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    train_perplexity: Mapped[float]
    valid_perplexity: Mapped[float]
    seconds: Mapped[float]
    tokens_per_second: Mapped[float]


class ModelVersion(Table):
    """A trained artifact, numbered per persona. `artifact_key` names its folder in the store."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("persona_id", "number"),)

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"))
    training_id: Mapped[int] = mapped_column(
        ForeignKey("trainings.id", ondelete="CASCADE", use_alter=True), unique=True
    )
    number: Mapped[int]
    preset: Mapped[str]
    parameters: Mapped[int]
    artifact_key: Mapped[str]
    snapshot_hash: Mapped[str]
    created_at: Mapped[datetime]


class Evaluation(Table):
    """What one split of one snapshot cost a model version."""

    __tablename__ = "evaluations"
    __table_args__ = (UniqueConstraint("model_version_id", "snapshot_hash", "split"),)

    id: Mapped[Id]
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"))
    snapshot_hash: Mapped[str]
    split: Mapped[str]
    nats: Mapped[float]
    tokens: Mapped[int]
    bytes: Mapped[int]
    perplexity: Mapped[float]
    bits_per_byte: Mapped[float]
    created_at: Mapped[datetime]


class Promotion(Table):
    """From then on this version is served. The newest row of a persona counts; older ones are its history."""

    __tablename__ = "promotions"

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"), index=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"))
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id", ondelete="SET NULL"))
    reason: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
