"""Thousands of photos that are answered in the background, by one model version for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class BatchState(StrEnum):
    """`open` takes photos; `queued` and `running` are in work; the others are over."""

    OPEN = "open"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch.

    Attributes:
        model_version: What answers, fixed when the work begins; None before.
        n_images: Photos that were taken in.
        n_answered: Photos that have their answer, unreadable ones too.
        job_id: The job that answers it; None while it is open.
    """

    batch_id: str
    state: BatchState
    model_version: int | None
    n_images: int
    n_answered: int
    api_key_id: int
    job_id: int | None
    created_at: datetime
    finished_at: datetime | None
    error: str | None = None

    def failed(self, error: str, at: datetime) -> Batch:
        """Return the batch as one that was given up."""
        return replace(self, state=BatchState.FAILED, error=error, finished_at=at)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A photo of a batch.

    Attributes:
        number: Place in the batch from 0.
        store_key: Where its bytes are, until the batch is over.
        answer: What is told of it; None while it waits.
    """

    batch_id: str
    number: int
    filename: str
    sha256: str
    store_key: str
    answer: dict[str, Any] | None = None
