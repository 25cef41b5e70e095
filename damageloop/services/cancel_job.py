"""End a job because a person asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.domain.job import Job
from damageloop.ports.persistence import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class CancelJob:
    """A waiting job is cancelled at once; the worker of a running one is told at its next beat."""

    units: UnitOfWorkFactory

    def __call__(self, job_id: int) -> Job:
        """Return the job as it is now. Raises NotFoundError, and ConflictError when it has ended already."""
        with self.units() as work:
            job = work.jobs.ask_to_cancel(job_id)
            work.commit()
        return job
