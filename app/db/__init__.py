"""The database: tables' base, sessions, migrations, and a PostgreSQL of our own where none is given."""
