"""Asks a database which version it is."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.errors import UnavailableError


def server_version(url: str) -> str:
    """Return name and version, such as `SQLite 3.46.1` or `PostgreSQL 15.12`.

    Raises:
        UnavailableError: If it does not answer.
    """
    engine = make_engine(url)
    name, query = (
        ("SQLite", "SELECT sqlite_version()") if url.startswith("sqlite") else ("PostgreSQL", "SHOW server_version")
    )
    try:
        with engine.connect() as connection:
            return f"{name} {connection.execute(text(query)).scalar()}"
    except SQLAlchemyError as exc:
        raise UnavailableError("The database does not answer.") from exc
    finally:
        engine.dispose()
