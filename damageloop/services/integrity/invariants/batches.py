"""Batches: each is answered whole, or somebody works on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from damageloop.domain.batch import Batch, BatchState
from damageloop.domain.job import JobState
from damageloop.errors import NotFoundError
from damageloop.ports.persistence import UnitOfWork

# The oldest first; retention keeps them few.
MOST = 1000
_AT_THE_END = datetime.max.replace(tzinfo=UTC)


def answered_or_in_work(work: UnitOfWork) -> Iterator[str]:
    """Yield batches that are done without all answers, and ones in work whose job has ended well or is gone."""
    for batch_id in work.batches.over_before(_AT_THE_END, MOST):
        batch = work.batches.get(batch_id)
        if batch.state is BatchState.DONE and batch.n_answered < batch.n_images:
            yield f"batch {batch_id} is done with {batch.n_answered} of {batch.n_images} photos answered"
        if batch.state in (BatchState.QUEUED, BatchState.RUNNING) and not _has_job(work, batch):
            yield f"batch {batch_id} is {batch.state.value}, and no job works on it"


def _has_job(work: UnitOfWork, batch: Batch) -> bool:
    """Tell whether a job is at work, or ended in a way that the batch tells as its own failure."""
    if batch.job_id is None:
        return False
    try:
        return work.jobs.get(batch.job_id).state is not JobState.SUCCEEDED
    except NotFoundError:
        return False
