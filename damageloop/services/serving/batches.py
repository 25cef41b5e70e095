"""Take in thousands of photos, have them answered in the background, and hand the answers out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from damageloop.domain.batch import Batch, BatchItem, BatchState
from damageloop.domain.job import ACTIVE_STATES, Job, JobKind, JobRequest, JobState
from damageloop.errors import ConflictError, NotFoundError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.ports.pricing import BatchPhotos
from damageloop.services.loop.ledger import Ledger

# Photos of a request that was cut off are thrown away when they are older than any request takes.
ORPHANED_AFTER = timedelta(days=1)
_OVER = frozenset({BatchState.DONE, BatchState.FAILED})


@dataclass(frozen=True, slots=True)
class Batches:
    """Everything that happens to batches but answering them; see `answer_batch` for that."""

    units: UnitOfWorkFactory
    photos: BatchPhotos
    ledger: Ledger
    clock: Clock
    new_id: Callable[[], str]
    max_images: int

    def keep_photo(self, batch_id: str, number: int, filename: str, content: bytes) -> BatchItem:
        """Keep the bytes of a photo; nothing knows of it before `add` or `append` has its item."""
        store_key = self.photos.put(batch_id, number, content)
        return BatchItem(batch_id, number, filename, hashlib.sha256(content).hexdigest(), store_key)

    def add(self, batch_id: str, items: Sequence[BatchItem], api_key_id: int, is_complete: bool) -> Batch:
        """Make a batch of photos that were kept; a complete one is put to work at once."""
        with self.units() as work:
            work.batches.add(batch_id, api_key_id, self.clock.now())
            work.batches.add_items(batch_id, items)
            if is_complete:
                self._put_to_work(work, batch_id)
            batch = work.batches.get(batch_id)
            work.commit()
        return batch

    def append(self, batch_id: str, items: Sequence[BatchItem]) -> Batch:
        """Add photos to an open batch; numbers that it has already are refused.

        Raises:
            NotFoundError: If there is no such batch.
            ConflictError: If it is open no more, would hold too many photos, or took in others meanwhile.
        """
        with self.units() as work:
            batch = self._open_batch(work, batch_id)
            if batch.n_images + len(items) > self.max_images:
                raise ConflictError(f"A batch takes {self.max_images} photos; this one would have more.")
            if items and items[0].number != batch.n_images:
                raise ConflictError("Another request added photos to this batch at the same time: send these again.")
            work.batches.add_items(batch_id, items)
            batch = work.batches.get(batch_id)
            work.commit()
        return batch

    def start(self, batch_id: str) -> Batch:
        """Put an open batch to work, or a failed one again; one that is in work or done stays as it is.

        Raises:
            NotFoundError: If there is no such batch.
            ConflictError: If it holds no photo.
        """
        with self.units() as work:
            batch = self._seen(work, batch_id)
            if batch.state is BatchState.OPEN and not batch.n_images:
                raise ConflictError("This batch holds no photo yet: add some, then start it.")
            if batch.state in (BatchState.OPEN, BatchState.FAILED):
                self._put_to_work(work, batch_id)
            batch = self._seen(work, batch_id)
            work.commit()
        return batch

    def get(self, batch_id: str) -> Batch:
        """Return a batch as it is now; one whose job ended without an answer has failed. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            return self._seen(work, batch_id)

    def number_to_add(self, batch_id: str) -> int:
        """Return the number of the next photo of an open batch. Raises NotFoundError, ConflictError."""
        with self.units(read_only=True) as work:
            return self._open_batch(work, batch_id).n_images

    def answered(self, batch_id: str, limit: int, after: int | None) -> list[BatchItem]:
        """Return the next photos that have their answer, by number: at most `limit`, up to the first that waits."""
        with self.units(read_only=True) as work:
            work.batches.get(batch_id)
            items = work.batches.items(batch_id, limit, after)
        first_waiting = next((i for i, item in enumerate(items) if item.answer is None), len(items))
        return items[:first_waiting]

    def remove(self, batch_id: str) -> None:
        """Remove a batch with its photos and answers; its job, if there is one, is cancelled. Raises NotFoundError."""
        with self.units() as work:
            batch = work.batches.get(batch_id)
            job = _job_of(work, batch)
            if job is not None and job.state in ACTIVE_STATES:
                work.jobs.ask_to_cancel(job.id, self.clock.now())
            work.batches.remove(batch_id)
            work.commit()
        self.photos.remove(batch_id)

    def drop_photos(self, batch_id: str) -> None:
        """Throw away photos that became no batch; safe to repeat."""
        self.photos.remove(batch_id)

    def expire(self, before: datetime, limit: int) -> int:
        """Remove at most `limit` batches from before a moment, whatever their state; return how many."""
        with self.units(read_only=True) as work:
            due = work.batches.over_before(before, limit)
        for batch_id in due:
            # Its owner may have removed it meanwhile.
            with suppress(NotFoundError):
                self.remove(batch_id)
        return len(due)

    def drop_orphans(self) -> int:
        """Throw away photos of requests that were cut off long ago; return of how many."""
        before = self.clock.now() - ORPHANED_AFTER
        dropped = 0
        for batch_id in self.photos.batch_ids():
            if _made_at(batch_id) < before.timestamp() and not self._is_known(batch_id):
                self.photos.remove(batch_id)
                dropped += 1
        return dropped

    def _is_known(self, batch_id: str) -> bool:
        with self.units(read_only=True) as work:
            return work.batches.is_known(batch_id)

    def _put_to_work(self, work: UnitOfWork, batch_id: str) -> None:
        request = JobRequest(JobKind.PREDICT_BATCH, f"predict_batch:{batch_id}", {"batch_id": batch_id})
        job = self.ledger.request_within(work, request)
        work.batches.set_state(batch_id, BatchState.QUEUED, self.clock.now(), job_id=job.id)

    def _open_batch(self, work: UnitOfWork, batch_id: str) -> Batch:
        batch = work.batches.get(batch_id)
        if batch.state is not BatchState.OPEN:
            raise ConflictError(f"This batch is {batch.state.value} and takes no more photos: make another one.")
        return batch

    def _seen(self, work: UnitOfWork, batch_id: str) -> Batch:
        batch = work.batches.get(batch_id)
        job = _job_of(work, batch)
        if batch.state in _OVER or job is None or job.state not in (JobState.FAILED, JobState.CANCELLED):
            return batch
        now = job.finished_at or self.clock.now()
        return batch.failed(job.error or "It was cancelled.", now)


def _job_of(work: UnitOfWork, batch: Batch) -> Job | None:
    if batch.job_id is None:
        return None
    try:
        return work.jobs.get(batch.job_id)
    except NotFoundError:
        # Ended long ago, and removed since.
        return None


def _made_at(batch_id: str) -> float:
    """Return when a time-ordered id (UUID version 7) was made, in seconds since 1970; now is after any other name."""
    try:
        return (UUID(batch_id).int >> 80) / 1000.0
    except ValueError:
        return 0.0
