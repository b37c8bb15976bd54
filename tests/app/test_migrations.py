"""The schema: current, reversible, and brought up once however many processes start."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from app.db.engine import sqlalchemy_url
from app.db.migrate import alembic_config, migrate
from app.db.orm import Table


@pytest.fixture
def empty_database_url(postgres_url: str, database_url: str) -> str:
    """A database without a table."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return database_url


def run(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    (command.downgrade if revision == "base" else command.upgrade)(config, revision)


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}


def test_the_migrations_make_exactly_the_tables_of_the_code(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Table.metadata)
    ours = [change for change in found if "procrastinate" not in str(change)]
    assert ours == []


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [empty_database_url] * 4))
    assert {"personas", "publications", "procrastinate_jobs"} <= tables(empty_database_url)


def test_every_migration_can_be_taken_back_and_applied_again(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.begin() as connection:
        run(connection, "base")
    assert tables(database_url) == {"alembic_version"}
    with engine.begin() as connection:
        run(connection, "head")
    assert "procrastinate_jobs" in tables(database_url)
