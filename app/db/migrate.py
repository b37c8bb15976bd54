"""Bring the schema up to date, once, however many processes start at the same moment."""

from importlib.resources import files

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import NullPool

from app.db.engine import conninfo, sqlalchemy_url

# Any constant will do, as long as every process of every version takes the same.
ADVISORY_LOCK = 6_913_051_729


def migrate(database_url: str) -> None:
    """Run the migrations that are missing, under an advisory lock. Each is one transaction: whole or not at all."""
    with psycopg.connect(conninfo(database_url), autocommit=True) as lock_holder:
        lock_holder.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        # The lock belongs to the connection: it goes with it, also when this process is killed.
        engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
        with engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration without a file: the scripts lie in the package `migrations`."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


async def is_current(session: AsyncSession) -> bool:
    """Whether the database has exactly the schema that this code was written for."""
    wanted = ScriptDirectory.from_config(alembic_config()).get_current_head()

    def found(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    connection = await session.connection()
    return await connection.run_sync(found) == wanted
