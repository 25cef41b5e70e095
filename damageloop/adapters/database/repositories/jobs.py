"""The ledger of jobs: every take-over is one conditional UPDATE, so that two workers can't hold one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from damageloop.adapters.database.repositories.expiry import expire_jobs
from damageloop.adapters.database.tables import JobRow
from damageloop.domain.job import ACTIVE_STATES, Job, JobKind, JobRequest, JobState, Queue
from damageloop.errors import ConflictError, NotFoundError, UnavailableError

_ACTIVE = [state.value for state in ACTIVE_STATES]
_BAD = [JobState.FAILED.value, JobState.CANCELLED.value]
_TRIES = 3


class SqlJobs:
    """Implements `JobRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def request(self, request: JobRequest, now: datetime, parent_id: int | None = None) -> Job:
        active = select(JobRow).where(JobRow.flight == request.single_flight, JobRow.state.in_(_ACTIVE))
        for _ in range(_TRIES):
            row = self._session.scalar(active) or self._insert(request, now, parent_id)
            # None: another process was faster between our look and our insert; its row is the one, unless it has ended.
            row = row or self._session.scalars(active).first()
            if row is not None:
                return to_job(row)
        raise UnavailableError(f"Others ask for {request.single_flight} all the time; ask again.")

    def _insert(self, request: JobRequest, now: datetime, parent_id: int | None) -> JobRow | None:
        row = JobRow(
            kind=request.kind.value,
            key=request.key,
            flight=request.single_flight,
            queue=request.queue.value,
            state=JobState.QUEUED.value,
            inputs=dict(request.inputs),
            created_at=now,
            queued_at=now,
            parent_id=parent_id,
        )
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return None
        return row

    def get(self, job_id: int) -> Job:
        return to_job(self._row(job_id))

    def all(self, limit: int = 200, before_id: int | None = None) -> list[Job]:
        query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(JobRow.id < before_id)
        return [to_job(row) for row in self._session.scalars(query)]

    def active(self) -> list[Job]:
        query = select(JobRow).where(JobRow.state.in_(_ACTIVE)).order_by(JobRow.id)
        return [to_job(row) for row in self._session.scalars(query)]

    def ended_badly(self) -> list[Job]:
        newer = aliased(JobRow)
        is_followed = select(newer.id).where(newer.key == JobRow.key, newer.id > JobRow.id).exists()
        query = select(JobRow).where(JobRow.state.in_(_BAD), ~is_followed).order_by(JobRow.id)
        return [to_job(row) for row in self._session.scalars(query)]

    def latest_of_keys(self, keys: Sequence[str]) -> dict[str, Job]:
        newest = select(func.max(JobRow.id)).where(JobRow.key.in_(keys)).group_by(JobRow.key)
        return {row.key: to_job(row) for row in self._session.scalars(select(JobRow).where(JobRow.id.in_(newest)))}

    def of_kind(self, kind: JobKind) -> list[Job]:
        query = select(JobRow).where(JobRow.kind == kind.value).order_by(JobRow.id.desc())
        return [to_job(row) for row in self._session.scalars(query)]

    def begin(self, job_id: int, now: datetime, lease_until: datetime) -> Job | None:
        is_free = or_(
            JobRow.state == JobState.QUEUED.value,
            (JobRow.state == JobState.RUNNING.value) & (JobRow.lease_until < now),
        )
        taken = self._session.execute(
            update(JobRow)
            .where(JobRow.id == job_id, is_free)
            .values(
                state=JobState.RUNNING.value,
                attempts=JobRow.attempts + 1,
                started_at=now,
                heartbeat_at=now,
                lease_until=lease_until,
            )
        )
        if not getattr(taken, "rowcount", 0):
            return None
        self._session.expire_all()
        return self.get(job_id)

    def beat(
        self,
        job_id: int,
        attempt: int,
        now: datetime,
        lease_until: datetime,
        progress: float,
        message: str,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        values: dict[str, Any] = {"heartbeat_at": now, "lease_until": lease_until}
        values |= {"progress": progress, "message": message} | ({"detail": dict(detail)} if detail else {})
        is_ours = self._change(job_id, attempt, **values)
        self._session.expire_all()
        return is_ours and not self._row(job_id).is_cancel_requested

    def finish(
        self,
        job_id: int,
        attempt: int,
        state: JobState,
        now: datetime,
        result: Mapping[str, Any] | None,
        error: str | None,
    ) -> bool:
        values: dict[str, Any] = {"state": state.value, "finished_at": now, "error": error, "lease_until": None}
        if result is not None:
            values["result"] = dict(result)
        if state is JobState.SUCCEEDED:
            values["progress"] = 1.0
        return self._change(job_id, attempt, **values)

    def requeue(self, job_id: int, attempt: int, error: str) -> bool:
        return self._change(job_id, attempt, state=JobState.QUEUED.value, error=error, lease_until=None)

    def stalled(self, now: datetime, queued_before: datetime) -> list[Job]:
        query = select(JobRow).where(
            or_(
                JobRow.state == JobState.QUEUED.value,
                (JobRow.state == JobState.RUNNING.value) & (JobRow.lease_until < now),
            ),
            JobRow.queued_at < queued_before,
        )
        return [to_job(row) for row in self._session.scalars(query.order_by(JobRow.id))]

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_jobs(self._session, before, limit, is_dry_run)

    def mark_sent(self, job_id: int, now: datetime) -> None:
        self._row(job_id).queued_at = now

    def ask_to_cancel(self, job_id: int, now: datetime) -> Job:
        row = self._row(job_id)
        if row.state not in _ACTIVE:
            raise ConflictError(f"Job {job_id} has already {row.state}; there is nothing to cancel.")
        # One statement: a worker that begins it at this moment either comes first or finds it cancelled.
        is_waiting = JobRow.state == JobState.QUEUED.value
        asked = update(JobRow).where(JobRow.id == job_id)
        ended = {"state": JobState.CANCELLED.value, "finished_at": now, "error": "Cancelled before it began."}
        self._session.execute(asked.where(JobRow.state.in_(_ACTIVE)).values(is_cancel_requested=True))
        self._session.execute(asked.where(is_waiting).values(**ended))
        self._session.expire_all()
        return to_job(self._row(job_id))

    def _change(self, job_id: int, attempt: int, **values: Any) -> bool:
        """Change the job that this attempt runs; False when it is another's by now."""
        is_ours = (JobRow.id == job_id) & (JobRow.attempts == attempt) & (JobRow.state == JobState.RUNNING.value)
        changed = self._session.execute(update(JobRow).where(is_ours).values(**values))
        return bool(getattr(changed, "rowcount", 0))

    def _row(self, job_id: int) -> JobRow:
        row = self._session.get(JobRow, job_id)
        if row is None:
            raise NotFoundError(f"There is no job {job_id}.")
        return row


def to_job(row: JobRow) -> Job:
    """Return the job that a row describes."""
    return Job(
        id=row.id,
        kind=JobKind(row.kind),
        key=row.key,
        flight=row.flight,
        queue=Queue(row.queue),
        state=JobState(row.state),
        attempts=row.attempts or 0,
        inputs=row.inputs,
        result=row.result,
        error=row.error,
        progress=row.progress or 0.0,
        message=row.message or "",
        detail=row.detail or {},
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        heartbeat_at=row.heartbeat_at,
        lease_until=row.lease_until,
        is_cancel_requested=bool(row.is_cancel_requested),
        parent_id=row.parent_id,
        sent_at=row.queued_at,
    )
