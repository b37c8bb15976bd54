"""Alembic's entry: runs on the connection that app/db/migrate.py hands over."""

from alembic import context

import app.auth.models
import app.corpora.models
import app.personas.models
import app.posting.models
import app.sampling.models
import app.training.models  # noqa: F401  imported so that their tables are known
from app.db.orm import Table


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """The queue's tables are procrastinate's own."""
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    include_name=include_name,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
