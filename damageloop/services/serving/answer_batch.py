"""Answer the photos of a batch, shard by shard, all by one model version; a new start goes on where one ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from damageloop.domain.batch import Batch, BatchItem, BatchState
from damageloop.errors import NoChampionError, NotFoundError
from damageloop.ports import Clock, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.ports.pricing import BatchPhotos

logger = logging.getLogger(__name__)

SHARD = 32
_GONE = {"code": "not_kept", "message": "The photo is no longer there: send it again in another batch."}


class AnswerPhotos(Protocol):
    """Answers single photos by one model version and keeps their evidence. Safe to call from threads."""

    @property
    def n_parallel(self) -> int:
        """Return how many photos it is worth to have in work at a time."""

    def __call__(self, filename: str, content: bytes) -> dict[str, Any]:
        """Return `{"prediction": ..., "error": ...}` of one photo, one of them None; its evidence is on its way."""

    def flush(self) -> None:
        """Return when all evidence is kept."""

    def close(self) -> None:
        """End what keeps the evidence."""


@dataclass(frozen=True, slots=True)
class AnswerBatch:
    """Handles jobs of kind PREDICT_BATCH."""

    units: UnitOfWorkFactory
    photos: BatchPhotos
    answers_of: Callable[[Batch], AnswerPhotos]
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Answer what waits of the batch `batch_id`; one that was removed meanwhile is nobody's work any more."""
        batch_id = str(inputs["batch_id"])
        try:
            batch = self._begin(batch_id)
            n_answered = self._answer(batch, context)
            self._end(batch_id)
        except NotFoundError as exc:
            if self._is_there(batch_id):
                raise
            logger.info("batch %s was removed: %s", batch_id, exc)
            return {"batch_id": batch_id, "removed": True}
        return {"batch_id": batch_id, "model_version": batch.model_version, "answered": n_answered}

    def _begin(self, batch_id: str) -> Batch:
        with self.units() as work:
            batch = work.batches.get(batch_id)
            if batch.model_version is None:
                champion = work.models.champion()
                if champion is None:
                    raise NoChampionError("No model serves yet, so the batch waits.")
                work.batches.set_model(batch_id, champion.model_version)
            work.batches.set_state(batch_id, BatchState.RUNNING, self.clock.now())
            batch = work.batches.get(batch_id)
            work.commit()
        return batch

    def _answer(self, batch: Batch, context: JobContext) -> int:
        answers, n_answered = self.answers_of(batch), batch.n_answered
        with closing(answers), ThreadPoolExecutor(answers.n_parallel, thread_name_prefix="batch") as threads:
            while shard := self._waiting(batch.batch_id):
                made = list(threads.map(lambda item: self._one(answers, item), shard))
                # Before the photos count as answered: a line that is given out has its evidence.
                answers.flush()
                self._keep(batch.batch_id, shard, made)
                n_answered += len(shard)
                context.progress(n_answered / batch.n_images, f"{n_answered} of {batch.n_images} photos answered")
        return n_answered

    def _one(self, answers: AnswerPhotos, item: BatchItem) -> dict[str, Any]:
        try:
            content = self.photos.read(item.store_key)
        except NotFoundError:
            # As after a restore, for photos of batches are not backed up: the others are answered all the same.
            return {"prediction": None, "error": _GONE}
        return answers(item.filename, content)

    def _waiting(self, batch_id: str) -> list[BatchItem]:
        with self.units(read_only=True) as work:
            return work.batches.waiting(batch_id, SHARD)

    def _keep(self, batch_id: str, shard: Sequence[BatchItem], made: Sequence[dict[str, Any]]) -> None:
        with self.units() as work:
            work.batches.get(batch_id)
            work.batches.answer(batch_id, {item.number: answer for item, answer in zip(shard, made, strict=True)})
            work.commit()

    def _end(self, batch_id: str) -> None:
        with self.units() as work:
            work.batches.set_state(batch_id, BatchState.DONE, self.clock.now())
            work.commit()
        # Nobody needs the photos any more, and they show other people's cars.
        self.photos.remove(batch_id)

    def _is_there(self, batch_id: str) -> bool:
        with self.units(read_only=True) as work:
            return work.batches.is_known(batch_id)
