"""Tables of sources and tweets."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.orm import Id, Table


class SourceStatus(StrEnum):
    """What has become of a source; the values are what the API says."""

    QUEUED = "queued"
    IMPORTING = "importing"
    IMPORTED = "imported"
    FAILED = "failed"


# IMPORTING → IMPORTING: another worker takes over what a dead one left.
MOVES: dict[SourceStatus, set[SourceStatus]] = {
    SourceStatus.QUEUED: {SourceStatus.IMPORTING},
    SourceStatus.IMPORTING: {SourceStatus.IMPORTING, SourceStatus.IMPORTED, SourceStatus.FAILED},
    SourceStatus.IMPORTED: set(),
    SourceStatus.FAILED: set(),
}


class Source(Table):
    """Where posts came from: one uploaded file. `upload_key` names it in the store until it has been read."""

    __tablename__ = "sources"

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"), index=True)
    filename: Mapped[str]
    format: Mapped[str]
    file_bytes: Mapped[int]
    file_hash: Mapped[str]
    upload_key: Mapped[str]
    status: Mapped[str]
    read: Mapped[int] = mapped_column(default=0)
    stored: Mapped[int] = mapped_column(default=0)
    duplicates: Mapped[int] = mapped_column(default=0)
    excluded: Mapped[dict[str, int]] = mapped_column(default=dict)
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Tweet(Table):
    """One post of a corpus. `identity` is the external id where there is one, else a hash of the text."""

    __tablename__ = "tweets"
    __table_args__ = (UniqueConstraint("persona_id", "identity"),)

    id: Mapped[Id]
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"))
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), index=True)
    identity: Mapped[str]
    text: Mapped[str]
    posted_at: Mapped[datetime | None]
