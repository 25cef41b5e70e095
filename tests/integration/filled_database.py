"""Fills every table of a database, whatever its revision, and tells what is in it. Knows no table by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import command
from sqlalchemy import Column, Connection, Engine, MetaData, Table

from damageloop.adapters.database.migrate import _config

N_ROWS = 2
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# By table: its columns' names and its rows, in the order of their first column.
Content = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


def migrate_to(engine: Engine, revision: str, is_back: bool = False) -> None:
    """Bring the database to a revision, older or newer, in one transaction."""
    with engine.begin() as connection:
        (command.downgrade if is_back else command.upgrade)(_config(connection), revision)


def fill(engine: Engine) -> None:
    """Put two rows into each table that is empty; the second refers to what is there first, also in its own table."""
    with engine.begin() as connection:
        for table in _tables(connection):
            if connection.scalar(sa.select(sa.func.count()).select_from(table)):
                continue
            for number in range(1, N_ROWS + 1):
                connection.execute(table.insert().values({c.name: _value(c, number) for c in table.columns}))


def content(engine: Engine) -> Content:
    """Return everything that the tables hold."""
    with engine.connect() as connection:
        return {
            table.name: (
                [column.name for column in table.columns],
                sorted(tuple(row) for row in connection.execute(table.select())),
            )
            for table in _tables(connection)
        }


def restricted(found: Content, older: Content) -> Content:
    """Return of what was found only the tables and columns that the older layout has, in its order."""
    kept: Content = {}
    for name, (columns, _) in older.items():
        places = [found[name][0].index(column) for column in columns]
        kept[name] = (columns, sorted(tuple(row[place] for place in places) for row in found[name][1]))
    return kept


def _tables(connection: Connection) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def _value(column: Column[Any], number: int) -> Any:
    """Return a value of the column's type, another for each row; a reference is to a row that is there by then."""
    for key in column.foreign_keys:
        is_own = key.column.table is column.table
        return _value(key.column, number) if not is_own else (None, 1)[number - 1]
    values = {
        sa.JSON: {"number": [number, 0.5, None, "ä"]},
        sa.Boolean: number % 2 == 0,
        sa.DateTime: MOMENT.replace(day=number),
        sa.Integer: number,
        sa.Float: number + 0.1,
    }
    found = [value for kind, value in values.items() if isinstance(column.type, kind)]
    return found[0] if found else _text(column, number)


def _text(column: Column[Any], number: int) -> str:
    """Return as long a text as fits; one job runs and one waits, so that the index of active jobs has rows."""
    if (column.table.name, column.name) == ("jobs", "state"):
        return ("queued", "running")[number - 1]
    length = getattr(column.type, "length", None) or 1000
    return f"{number}".rjust(length, "é")
