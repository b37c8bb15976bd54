"""The queue's own tables, as the installed procrastinate brings them.

A later procrastinate with a changed schema brings its own migrations: each becomes a migration here that does nothing
where the tables are already so.
"""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "2026_11_23_queue"
down_revision = "2026_11_23_first_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _execute(SchemaManager.get_schema())


def downgrade() -> None:
    _execute(
        """
        DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers
        CASCADE;
        DO $$
        DECLARE thing record;
        BEGIN
            FOR thing IN SELECT p.oid::regprocedure AS name FROM pg_proc p
                JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname = current_schema() AND p.proname LIKE 'procrastinate\\_%'
            LOOP EXECUTE 'DROP FUNCTION ' || thing.name || ' CASCADE'; END LOOP;
            FOR thing IN SELECT t.oid::regtype AS name FROM pg_type t
                JOIN pg_namespace n ON n.oid = t.typnamespace
                WHERE n.nspname = current_schema() AND t.typname LIKE 'procrastinate\\_%'
                AND t.typtype IN ('e', 'c')
            LOOP EXECUTE 'DROP TYPE ' || thing.name || ' CASCADE'; END LOOP;
        END $$;
        """
    )


def _execute(statements: str) -> None:
    """On psycopg's own cursor: many statements in one string, and % stands for itself."""
    op.get_bind().connection.cursor().execute(statements)
