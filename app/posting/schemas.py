"""Schedules and posts on the wire."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.posting.models import PublicationState


class ScheduleCreate(BaseModel):
    """When to post, and where."""

    model_config = ConfigDict(extra="forbid")

    cron: str = Field(max_length=100, examples=["0 9,18 * * *"], description="Minute, hour, day, month, weekday.")
    time_zone: str = Field(default="UTC", max_length=64, examples=["Europe/Berlin"])
    account: str = Field(default="timeline", pattern=r"^[A-Za-z0-9_.:-]{1,100}$", examples=["timeline"])


class ScheduleOut(BaseModel):
    """A schedule."""

    id: int
    cron: str
    time_zone: str
    account: str
    next_due_at: datetime
    created_at: datetime


class PostOut(BaseModel):
    """One publication; its text once it has been sampled."""

    id: int
    account: str
    text: str | None
    state: PublicationState
    schedule: int | None
    model: int | None = Field(description="Number of the model version that said it.")
    due_at: datetime
    sent_at: datetime | None
    error: dict[str, Any] | None
