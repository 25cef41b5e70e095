"""Inserts that may be tried again: on both databases, and past the session's objects, which cost more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import Base


def insert_missing(
    session: Session, table: type[Base], unique: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows; one whose `unique` columns are there already stays as it is. Without rows nothing happens.

    A commit whose confirmation was lost is tried again: the same once more changes nothing.
    """
    if not rows:
        return
    connection = session.connection()
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).on_conflict_do_nothing(index_elements=unique), [dict(row) for row in rows])
