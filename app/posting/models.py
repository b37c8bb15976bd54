"""Tables of accounts, schedules, drafts and publications."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.orm import Id, Table


class AccountKind(StrEnum):
    """Where an account is."""

    TIMELINE = "timeline"


class DraftState(StrEnum):
    """What became of a draft."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class PublicationState(StrEnum):
    """How far a publication is."""

    DUE = "due"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


# SENDING → SENDING: another worker goes on where a dead one stopped, with the draft that it left.
MOVES: dict[PublicationState, set[PublicationState]] = {
    PublicationState.DUE: {PublicationState.SENDING},
    PublicationState.SENDING: {PublicationState.SENDING, PublicationState.SENT, PublicationState.FAILED},
    PublicationState.SENT: set(),
    PublicationState.FAILED: set(),
}


class Account(Table):
    """Where a persona posts."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("persona_id", "name"),)

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"))
    kind: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime]


class Schedule(Table):
    """When drafts are made and posted. `next_due_at` is the next time in UTC; it only ever moves forward."""

    __tablename__ = "schedules"

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    cron: Mapped[str]
    time_zone: Mapped[str]
    next_due_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]


class Draft(Table):
    """A sentence kept to be posted."""

    __tablename__ = "drafts"

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"), index=True)
    model_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id", ondelete="SET NULL"))
    text: Mapped[str]
    log_probability: Mapped[float]
    seed: Mapped[int]
    state: Mapped[str]
    created_at: Mapped[datetime]


class Publication(Table):
    """One draft delivered, once, to one account. It is made when it is due; its draft is sampled before it is sent.

    A due time of a schedule is one publication, and a draft is one publication an account, by constraint.
    """

    __tablename__ = "publications"
    __table_args__ = (
        UniqueConstraint("schedule_id", "due_at"),
        UniqueConstraint("draft_id", "account_id"),
        Index("ix_publications_persona_id_sent_at", "persona_id", "sent_at"),
    )

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    draft_id: Mapped[int | None] = mapped_column(ForeignKey("drafts.id"))
    state: Mapped[str]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    remote_id: Mapped[str | None]
    due_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
