"""Table of personas."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.orm import Id, Table


class Persona(Table):
    """A voice. `handle` is stored in lower case and names it everywhere.

    filters: the fields of FilterPolicy that somebody has set; the others have their defaults.
    """

    __tablename__ = "personas"

    id: Mapped[Id]
    handle: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    bio: Mapped[str]
    language: Mapped[str | None]
    filters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
