"""Jobs: each ended or will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from damageloop.domain.job import Job, JobKind, JobState
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.loop.ledger import MAX_ATTEMPTS

# The sweeper comes every few seconds: what it has left alone for so long it does not look after.
PATIENCE = timedelta(minutes=2)


def one_active_for_each_key(work: UnitOfWork) -> Iterator[str]:
    """Yield keys with several active jobs, and flights."""
    active = work.jobs.active()
    for key, count in Counter(job.key for job in active).items():
        if count > 1:
            yield f"{key} has {count} active jobs"
    for flight, count in Counter(job.flight or job.key for job in active).items():
        if count > 1 and all(job.key != flight for job in active):
            yield f"flight {flight} has {count} active jobs"


def ended_or_will(work: UnitOfWork, now: datetime) -> Iterator[str]:
    """Yield active jobs that nobody looks after, and ended ones that do not say how they ended."""
    for job in work.jobs.active():
        yield from _active(job, now)
    for job in work.jobs.ended_badly():
        if job.state is JobState.FAILED and not job.error:
            yield f"job {job.id} ({job.key}) failed without a word"


def _active(job: Job, now: datetime) -> Iterator[str]:
    name = f"job {job.id} ({job.key})"
    # One more: the attempt that only writes down that it was the last.
    if job.attempts > MAX_ATTEMPTS + 1:
        yield f"{name} is in attempt {job.attempts} of {MAX_ATTEMPTS}"
    mend = f"do beat and the worker of queue {job.queue.value} run?"
    if job.state is JobState.RUNNING and (job.lease_until is None or job.lease_until < now - PATIENCE):
        yield f"{name} is running without a worker since {_clock(job.lease_until)}: {mend}"
    if job.state is JobState.QUEUED and job.sent_at is not None and job.sent_at < now - PATIENCE:
        yield f"{name} waits, and no worker was told since {_clock(job.sent_at)}: {mend}"


def is_under_way(work: UnitOfWork, *kinds: JobKind) -> bool:
    """Tell whether a job of these kinds is active: what it has begun is not broken, it is not done yet."""
    return any(job.kind in kinds for job in work.jobs.active())


def _clock(moment: datetime | None) -> str:
    return f"{moment:%H:%M:%S} UTC" if moment else "it began"
