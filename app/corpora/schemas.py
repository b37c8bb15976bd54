"""Sources on the wire."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.corpora.importers import Format
from app.corpora.models import Source, SourceStatus


class Counts(BaseModel):
    """What was found in a source: read = stored + duplicates + all that was excluded."""

    read: int
    stored: int
    duplicates: int
    excluded: dict[str, int] = Field(examples=[{"repost": 12}], description="How many were left out, by reason.")


class SourceOut(BaseModel):
    """A source and how far its import is."""

    id: int
    filename: str
    format: Format
    status: SourceStatus
    counts: Counts
    error: dict[str, Any] | None = Field(description="A problem document, when status is `failed`.")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, source: Source) -> "SourceOut":
        return cls(
            id=source.id,
            filename=source.filename,
            format=Format(source.format),
            status=SourceStatus(source.status),
            counts=Counts(
                read=source.read, stored=source.stored, duplicates=source.duplicates, excluded=source.excluded
            ),
            error=source.error,
            created_at=source.created_at,
            finished_at=source.finished_at,
        )
