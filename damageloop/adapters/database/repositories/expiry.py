"""Removes rows that are of no more use, in portions, so that nobody waits long for the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from damageloop.adapters.database.tables import EvidenceRow, InboxRow, JobRow
from damageloop.domain.job import JobKind, JobState


def expire_evidence(session: Session, before: datetime, limit: int, is_dry_run: bool) -> int:
    """Remove answers that were given before a moment; return how many, or how many there are."""
    return expire_rows(session, EvidenceRow.request_id, EvidenceRow.created_at < before, limit, is_dry_run)


def expire_inbox(session: Session, before: datetime, limit: int, is_dry_run: bool) -> int:
    """Remove events that were processed before a moment."""
    return expire_rows(session, InboxRow.id, InboxRow.processed_at < before, limit, is_dry_run)


def expire_jobs(session: Session, before: datetime, limit: int, is_dry_run: bool) -> int:
    """Remove jobs that ended before a moment and that nothing refers to any more.

    What stays: parents of other jobs, failures that no newer job of their key made good, sweeps, which are told of by
    their jobs alone, and the newest job of each kind, at which the loop looks.
    """
    child, newer = aliased(JobRow), aliased(JobRow)
    newest = select(func.max(JobRow.id)).group_by(JobRow.kind)
    is_made_good = select(newer.id).where(newer.key == JobRow.key, newer.id > JobRow.id).exists()
    condition = (
        (JobRow.finished_at < before)
        & (JobRow.kind != JobKind.SWEEP.value)
        & ((JobRow.state == JobState.SUCCEEDED.value) | is_made_good)
        & ~select(child.id).where(child.parent_id == JobRow.id).exists()
        & JobRow.id.not_in(newest)
    )
    return expire_rows(session, JobRow.id, condition, limit, is_dry_run)


def expire_rows(
    session: Session, key: InstrumentedAttribute[Any], condition: ColumnElement[bool], limit: int, is_dry_run: bool
) -> int:
    """Remove at most `limit` rows that meet the condition, by key; return how many, or how many meet it."""
    due: Select[Any] = select(key).where(condition).order_by(key)
    if is_dry_run:
        return session.scalar(select(func.count()).select_from(due.subquery())) or 0
    keys = list(session.scalars(due.limit(limit)))
    if keys:
        session.execute(delete(key.class_).where(key.in_(keys)))
    return len(keys)
