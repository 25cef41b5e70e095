"""The database of a process: one engine, made on call, and a factory of units of work on it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from damageloop.adapters.clock import SystemClock
from damageloop.adapters.database.unit_of_work import SqlUnitOfWork, make_engine
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.settings import Settings


@dataclass(frozen=True, slots=True)
class SqlUnitOfWorkFactory:
    """Opens units of work on one engine. Safe to share between threads, not across a fork."""

    engine: Engine
    clock: Clock

    def __call__(self, read_only: bool = False) -> UnitOfWork:
        return SqlUnitOfWork(self.engine, self.clock, read_only)


def make_unit_of_work_factory(settings: Settings, clock: Clock | None = None) -> UnitOfWorkFactory:
    """Return a factory on the database that the settings name. Opens no connection yet."""
    return SqlUnitOfWorkFactory(make_engine(settings.database), clock or SystemClock())
