"""The repository of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.job import Job, JobRequest, JobState


class JobRepository(Protocol):
    """The ledger of jobs."""

    def request(self, request: JobRequest, now: datetime, parent_id: int | None = None) -> Job:
        """Return the active job of this key, or a new queued one."""

    def get(self, job_id: int) -> Job: ...
    def all(self, limit: int = 200, before_id: int | None = None) -> list[Job]:
        """Return jobs, newest first; only those older than `before_id` where it is given."""

    def active(self) -> list[Job]: ...
    def begin(self, job_id: int, now: datetime, lease_until: datetime) -> Job | None:
        """Take the job if it waits or its lease has run out; None when another worker holds it or it ended."""

    def beat(
        self, job_id: int, attempt: int, now: datetime, lease_until: datetime, progress: float, message: str
    ) -> bool:
        """Renew the lease; False when a person asked to cancel or another attempt has taken over."""

    def finish(
        self,
        job_id: int,
        attempt: int,
        state: JobState,
        now: datetime,
        result: Mapping[str, Any] | None,
        error: str | None,
    ) -> None: ...
    def requeue(self, job_id: int, attempt: int, error: str) -> None:
        """Put a job back that an outside system kept from ending."""

    def stalled(self, now: datetime, queued_before: datetime) -> list[Job]:
        """Return jobs that no worker is on, queued or beyond their lease, and last sent before `queued_before`."""

    def mark_sent(self, job_id: int, now: datetime) -> None:
        """Remember that a worker was told again."""

    def ask_to_cancel(self, job_id: int) -> Job: ...
