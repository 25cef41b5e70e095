"""The ledger of jobs: what should run is written down first, and a message is only a nudge.

A worker may die at any line and a broker may lose any message: the lease runs out, and the sweeper sends again.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from damageloop.domain.job import Job, JobKind, JobRequest, JobState
from damageloop.errors import CancelledError, DamageloopError, UnavailableError
from damageloop.ports import Clock, Handler, JobQueue
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BEAT_EVERY_S = 5.0
# A nudge that nobody took for this long is sent again.
RESEND_AFTER = timedelta(seconds=20)
MAX_ATTEMPTS = 8
# An outside system that stays away is asked again after 20, 40, 80 s and so on: some half an hour in all.
MAX_PAUSE = timedelta(minutes=10)
_CANCELLED = "Cancelled by a person."
_TAKEN_OVER = "Another worker has taken this job over."
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# Kinds that leave a run open in the registry: cancelled after their worker died they begin once more, and find at once
# that they were cancelled, so that they end it.
_CLEANED_UP = frozenset({JobKind.TRAIN_CHALLENGER, JobKind.SWEEP})
# Done in small parts while nothing else is due: the loop comes by often enough.
_NOT_URGENT = frozenset({JobKind.EMBED_CROPS})


def _do_nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Ledger:
    """Requests, runs and sweeps jobs. `nudge` wakes the loop when one has ended: what is due next need not wait."""

    units: UnitOfWorkFactory
    queue: JobQueue
    clock: Clock
    nudge: Callable[[], None] = _do_nothing

    def request(self, requests: Sequence[JobRequest], parent_id: int | None = None) -> list[Job]:
        """Write the jobs down and nudge workers after the commit; a key that is active stays the one it is."""
        with self.units() as work:
            jobs = [self.request_within(work, request, parent_id) for request in requests]
            work.commit()
        return jobs

    def request_within(self, work: UnitOfWork, request: JobRequest, parent_id: int | None = None) -> Job:
        """Write a job down in a transaction that the caller commits."""
        job = work.jobs.request(request, self.clock.now(), parent_id)
        if job.attempts == 0:
            work.after_commit(lambda: self._nudge(job))
        return job

    def sweep(self) -> list[int]:
        """Send again what waits too long or whose worker no longer beats; return the job ids."""
        now = self.clock.now()
        with self.units() as work:
            stalled = work.jobs.stalled(now, queued_before=now - RESEND_AFTER)
            for job in stalled:
                work.jobs.mark_sent(job.id, now)
            work.commit()
        for job in stalled:
            self._nudge(job)
        return [job.id for job in stalled]

    def run(self, job_id: int, handlers: Mapping[JobKind, Handler]) -> JobState | None:
        """Run a job if it is free; return its state afterwards, or None when it was not this worker's to run."""
        now = self.clock.now()
        with self.units() as work:
            job = work.jobs.begin(job_id, now, now + LEASE)
            work.commit()
        if job is None:
            return None
        if job.is_cancel_requested and (job.kind not in _CLEANED_UP or job.attempts > MAX_ATTEMPTS):
            return self._finish(job, JobState.CANCELLED, None, _CANCELLED)
        if job.attempts > MAX_ATTEMPTS:
            error = (
                f"Its worker was lost in {MAX_ATTEMPTS} attempts, perhaps for want of memory; the worker's log may say."
            )
            return self._finish(job, JobState.FAILED, None, error)
        logger.info("job %s (%s) begins, attempt %s", job.id, job.key, job.attempts)
        if job.kind not in handlers:
            error = f"This version of the platform knows no job of kind {job.kind.value}."
            return self._finish(job, JobState.FAILED, None, error)
        with _Beat(self, job) as context:
            return self._execute(job, handlers[job.kind], context)

    def _execute(self, job: Job, handler: Handler, context: _Beat) -> JobState | None:
        try:
            result = handler(job.inputs, context)
        except DamageloopError as exc:
            return self._end_badly(job, exc, context)
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno in _NO_SPACE:
                return self._try_again(job, UnavailableError("There is no space left on the disk; make some."))
            # The details go to the log; people read the sentence.
            logger.exception("job %s (%s) broke", job.id, job.key)
            return self._finish(job, JobState.FAILED, None, "It broke on an error of ours; the worker's log has it.")
        return self._finish(job, JobState.SUCCEEDED, result, None)

    def _end_badly(self, job: Job, error: DamageloopError, context: _Beat) -> JobState | None:
        # What runs outside ends in an error of its own when it is told to stop.
        if isinstance(error, CancelledError) or context.is_cancelled():
            return self._finish(job, JobState.CANCELLED, None, _CANCELLED)
        if isinstance(error, UnavailableError):
            return self._try_again(job, error)
        return self._finish(job, JobState.FAILED, None, str(error))

    def _try_again(self, job: Job, error: UnavailableError) -> JobState | None:
        if job.attempts >= MAX_ATTEMPTS:
            return self._finish(job, JobState.FAILED, None, f"{error} Given up after {job.attempts} attempts.")
        with self.units() as work:
            if not work.jobs.requeue(job.id, job.attempts, str(error)):
                _tell_dropped(job)
                return None
            # As though it were sent later: the sweeper sends it again when the pause is over.
            work.jobs.mark_sent(job.id, self.clock.now() + _pause(job.attempts) - RESEND_AFTER)
            work.commit()
        logger.warning("job %s (%s) waits to be tried again: %s", job.id, job.key, error)
        return JobState.QUEUED

    def _finish(self, job: Job, state: JobState, result: dict[str, Any] | None, error: str | None) -> JobState | None:
        with self.units() as work:
            if not work.jobs.finish(job.id, job.attempts, state, self.clock.now(), result, error):
                _tell_dropped(job)
                return None
            work.after_commit(lambda: self._wake_loop(job))
            work.commit()
        logger.info("job %s (%s) %s%s", job.id, job.key, state.value, f": {error}" if error else "")
        return state

    def _wake_loop(self, job: Job) -> None:
        if job.kind not in _NOT_URGENT:
            with suppress(UnavailableError):
                self.nudge()

    def _nudge(self, job: Job) -> None:
        # A nudge that fails is no loss: the sweeper sends again.
        with suppress(UnavailableError):
            self.queue.send(job.id, job.queue.value)


def _pause(attempts: int) -> timedelta:
    """Return how long an outside system is left alone after so many attempts."""
    doubled: timedelta = RESEND_AFTER * 2 ** (attempts - 1)
    return min(doubled, MAX_PAUSE)


def _tell_dropped(job: Job) -> None:
    logger.warning("job %s (%s): what attempt %s came to is dropped. %s", job.id, job.key, job.attempts, _TAKEN_OVER)


class _Beat:
    """Renews the lease of a running job from a thread; implements `JobContext`."""

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self._ledger = ledger
        self._job = job
        self._progress: tuple[float, str, Mapping[str, Any] | None] = (0.0, "", None)
        self._is_over = threading.Event()
        self._is_cancelled = threading.Event()
        self._is_taken_over = threading.Event()
        if job.is_cancel_requested:
            self._is_cancelled.set()
        self._thread = threading.Thread(target=self._beat_until_over, daemon=True)

    def __enter__(self) -> _Beat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def progress(self, share: float, message: str, detail: Mapping[str, Any] | None = None, /) -> None:
        """Beat at once, and stop the handler when a person asked for it."""
        self._progress = (share, message, detail)
        self._beat()
        if self._is_cancelled.is_set():
            raise CancelledError(_TAKEN_OVER if self._is_taken_over.is_set() else _CANCELLED)

    def is_cancelled(self) -> bool:
        return self._is_cancelled.is_set()

    def is_taken_over(self) -> bool:
        return self._is_taken_over.is_set()

    def _beat_until_over(self) -> None:
        while not self._is_over.wait(BEAT_EVERY_S):
            try:
                self._beat()
            except UnavailableError as exc:
                logger.warning("job %s could not beat: %s", self._job.id, exc)
            except Exception:
                # A thread that ends here would cost the job its lease while it still runs.
                logger.exception("job %s could not beat", self._job.id)

    def _beat(self) -> None:
        now, job = self._ledger.clock.now(), self._job
        with self._ledger.units() as work:
            goes_on = work.jobs.beat(job.id, job.attempts, now, now + LEASE, *self._progress)
            found = None if goes_on else work.jobs.get(job.id)
            work.commit()
        if found is None:
            return
        if found.attempts != job.attempts or found.state is not JobState.RUNNING:
            self._is_taken_over.set()
        self._is_cancelled.set()


RequestJobs = Callable[[Sequence[JobRequest]], list[Job]]
