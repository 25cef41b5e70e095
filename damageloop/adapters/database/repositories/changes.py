"""The counter of changes: which annotation or image changed after which, in the order in which they were committed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from damageloop.adapters.database.record_tables import CounterRow
from damageloop.adapters.database.tables import AnnotationRow

CHANGES = "changes"
# Under this name a session carries the clock of its unit of work.
CLOCK = "clock"


def next_change(session: Session) -> int:
    """Return the number of a change that is being made.

    The row stays locked to the end of the transaction: nobody can commit a later number while this one may still come,
    so who has read up to a number has missed nothing below it.
    """
    raised = (
        update(CounterRow)
        .where(CounterRow.name == CHANGES)
        .values(value=CounterRow.value + 1, changed_at=session.info[CLOCK].now())
        .returning(CounterRow.value)
    )
    value = session.scalar(raised)
    if value is None:
        try:
            with session.begin_nested():
                session.add(CounterRow(name=CHANGES, value=_highest(session)))
        except IntegrityError:
            # Another process made it first.
            session.expire_all()
        value = session.scalars(raised).one()
    return int(value)


def last_change(session: Session) -> int:
    """Return the number of the newest change; 0 before the first."""
    value = session.scalar(select(CounterRow.value).where(CounterRow.name == CHANGES))
    return _highest(session) if value is None else int(value)


def last_changed_at(session: Session) -> datetime | None:
    """Return when the newest change was taken in, by our clock; None before the first."""
    return session.scalar(select(CounterRow.changed_at).where(CounterRow.name == CHANGES))


def _highest(session: Session) -> int:
    return session.scalar(select(func.max(AnnotationRow.sequence))) or 0
