"""Alembic migrations, one file a change. The service runs them itself, at start (app/db/migrate.py)."""
