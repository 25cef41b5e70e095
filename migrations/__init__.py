"""Alembic revisions of the database. Run through `damageloop.adapters.database.migrate`, without an ini file."""
