"""End a job because a person asked for it, or run an ended one again."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.domain.job import ACTIVE_STATES, Job, JobRequest, JobState
from damageloop.errors import ConflictError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.loop.ledger import Ledger


@dataclass(frozen=True, slots=True)
class CancelJob:
    """A waiting job is cancelled at once; the worker of a running one is told at its next beat."""

    units: UnitOfWorkFactory
    clock: Clock

    def __call__(self, job_id: int, asked_by: str) -> Job:
        """Return the job as it is now. Raises NotFoundError, and ConflictError when it has ended already."""
        now = self.clock.now()
        with self.units() as work:
            job = work.jobs.ask_to_cancel(job_id, now)
            work.audit.add(asked_by, "cancel_job", f"job {job_id}", {"key": job.key}, now)
            work.commit()
        return job


@dataclass(frozen=True, slots=True)
class RetryJob:
    """Runs a job that ended again, as a new job of the same key, flight and inputs whose parent it is."""

    ledger: Ledger

    def __call__(self, job_id: int, asked_by: str) -> Job:
        """Return the new job, or the one of its flight that is active already.

        Raises:
            NotFoundError: If there is no such job.
            ConflictError: If it has not ended, or succeeded: what came of it stands.
        """
        with self.ledger.units() as work:
            old = work.jobs.get(job_id)
            if old.state in ACTIVE_STATES or old.state is JobState.SUCCEEDED:
                state = "has succeeded" if old.state is JobState.SUCCEEDED else f"is {old.state.value}"
                raise ConflictError(f"Job {job_id} {state}; there is nothing to try again.")
            request = JobRequest(old.kind, old.key, old.inputs, old.flight)
            job = self.ledger.request_within(work, request, parent_id=job_id)
            detail = {"key": old.key, "new_job": job.id}
            work.audit.add(asked_by, "retry_job", f"job {job_id}", detail, self.ledger.clock.now())
            work.commit()
        return job
