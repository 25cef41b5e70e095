"""The repository of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.job import Job, JobKind, JobRequest, JobState


class JobRepository(Protocol):
    """The ledger of jobs."""

    def request(self, request: JobRequest, now: datetime, parent_id: int | None = None) -> Job:
        """Return the active job of this key, or a new queued one."""

    def get(self, job_id: int) -> Job: ...
    def all(self, limit: int = 200, before_id: int | None = None) -> list[Job]:
        """Return jobs, newest first; only those older than `before_id` where it is given."""

    def active(self) -> list[Job]: ...
    def ended_badly(self) -> list[Job]:
        """Return failed and cancelled jobs that no newer job of their key has followed, oldest first."""

    def latest_of_keys(self, keys: Sequence[str]) -> dict[str, Job]:
        """Return the newest job of each of these keys that has one, by key."""

    def of_kind(self, kind: JobKind) -> list[Job]:
        """Return all jobs of a kind, newest first."""

    def begin(self, job_id: int, now: datetime, lease_until: datetime) -> Job | None:
        """Take the job if it waits or its lease has run out; None when another worker holds it or it ended."""

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
        """Renew the lease and keep how far it is; a `detail` of None leaves it as it was.

        False when a person asked to cancel or another attempt has taken over.
        """

    def finish(
        self,
        job_id: int,
        attempt: int,
        state: JobState,
        now: datetime,
        result: Mapping[str, Any] | None,
        error: str | None,
    ) -> bool:
        """End the job; False when another attempt has taken over, and then nothing changes."""

    def requeue(self, job_id: int, attempt: int, error: str) -> bool:
        """Put a job back that an outside system kept from ending; False as for `finish`."""

    def stalled(self, now: datetime, queued_before: datetime) -> list[Job]:
        """Return jobs that no worker is on, queued or beyond their lease, and last sent before `queued_before`."""

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most so many jobs that ended before the moment and that nothing refers to; return how many.

        A dry run only counts all of them.
        """

    def mark_sent(self, job_id: int, now: datetime) -> None:
        """Remember that a worker was told again."""

    def ask_to_cancel(self, job_id: int, now: datetime) -> Job:
        """End a job that waits, and mark one that runs. Raises NotFoundError, and ConflictError when it has ended."""
