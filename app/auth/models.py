"""Table of API keys; only a hash of each is stored."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db.orm import Id, Table


class ApiKey(Table):
    """A key that may call the API until it is revoked. `prefix` is shown, so that a person recognises it."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    prefix: Mapped[str]
    key_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
