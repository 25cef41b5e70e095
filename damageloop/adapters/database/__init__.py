"""The SQL database (SQLAlchemy 2): SQLite by default, PostgreSQL for more than one machine."""
