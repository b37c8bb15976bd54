"""Table of personas."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db.orm import Id, Table


class Persona(Table):
    """A voice. `handle` is stored in lower case and names it everywhere."""

    __tablename__ = "personas"

    id: Mapped[Id]
    handle: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    bio: Mapped[str]
    language: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
