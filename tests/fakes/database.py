"""A real SQLite database in a folder of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, event

from damageloop.adapters.database.base import Base
from damageloop.adapters.database.unit_of_work import SqlUnitOfWork, make_engine
from damageloop.ports import Clock


@dataclass(frozen=True)
class SqliteUnits:
    """A `UnitOfWorkFactory` on one engine."""

    engine: Engine
    clock: Clock

    def __call__(self, read_only: bool = False) -> SqlUnitOfWork:
        return SqlUnitOfWork(self.engine, self.clock, read_only)


@contextmanager
def sqlite_units(folder: Path, clock: Clock) -> Iterator[SqliteUnits]:
    """Make the tables in `folder` unless they are there, and open units of work on them."""
    engine = make_engine(f"sqlite:///{folder / 'damageloop.sqlite'}")
    # A test does not outlive the machine: nothing need wait for the disk.
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    Base.metadata.create_all(engine)
    try:
        yield SqliteUnits(engine, clock)
    finally:
        engine.dispose()
