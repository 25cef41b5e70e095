"""A durable piece of work and its life."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """States of a job; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STATES = frozenset({JobState.QUEUED, JobState.RUNNING})


class Queue(StrEnum):
    """Where a job runs."""

    DEFAULT = "default"
    INFERENCE = "inference"
    TRAINING = "training"
    MONITORING = "monitoring"


class JobKind(StrEnum):
    """What a job does: one use case each."""

    SCORE_POOL = "score_pool"
    OPEN_ROUND = "open_round"
    CLOSE_ROUND = "close_round"
    BUILD_SNAPSHOT = "build_snapshot"
    TRAIN_CHALLENGER = "train_challenger"
    DECIDE_PROMOTION = "decide_promotion"
    PROMOTE = "promote"
    RENEW_PRE_ANNOTATIONS = "renew_pre_annotations"
    SWEEP = "sweep"
    TAKE_OUT_SKIPPED = "take_out_skipped"
    FIND_LABEL_ERRORS = "find_label_errors"
    EMBEDDING_MAP = "embedding_map"
    EMBED_CROPS = "embed_crops"
    DESCRIBE_POOL = "describe_pool"
    FOLLOW_PROMOTION = "follow_promotion"
    SECOND_OPINIONS = "second_opinions"
    FORGET = "forget"
    PREDICT_BATCH = "predict_batch"
    TAKE_IN_PRODUCTION = "take_in_production"
    CHECK_DRIFT = "check_drift"


QUEUE_OF_KIND = {
    JobKind.SCORE_POOL: Queue.INFERENCE,
    JobKind.DESCRIBE_POOL: Queue.INFERENCE,
    JobKind.DECIDE_PROMOTION: Queue.INFERENCE,
    JobKind.TRAIN_CHALLENGER: Queue.TRAINING,
    JobKind.SWEEP: Queue.TRAINING,
    JobKind.FIND_LABEL_ERRORS: Queue.TRAINING,
    JobKind.EMBED_CROPS: Queue.INFERENCE,
    JobKind.PREDICT_BATCH: Queue.INFERENCE,
    JobKind.TAKE_IN_PRODUCTION: Queue.MONITORING,
    JobKind.CHECK_DRIFT: Queue.MONITORING,
}


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job that should run.

    Attributes:
        key: What is to be done: a job of this key that ended badly keeps the loop from asking for it again.
        flight: Of two requests of one flight only one is ever active; the key itself where it is left empty. Keys of
            snapshots, trainings and scorings change with every annotation, parameter or photo, so that what failed is
            tried again, and a second one beside the first would only do the same work.
    """

    kind: JobKind
    key: str
    inputs: dict[str, Any] = field(default_factory=dict)
    flight: str = ""

    @property
    def single_flight(self) -> str:
        return self.flight or self.key

    @property
    def queue(self) -> Queue:
        return QUEUE_OF_KIND.get(self.kind, Queue.DEFAULT)


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the ledger.

    Attributes:
        attempts: How often a worker began it.
        lease_until: Until when its worker may be believed to live, unless it beats again.
        progress: 0 to 1, with `message` as a sentence.
        detail: Of a training: `epoch`, `epochs`, `loss`, `seconds_left` and `log`, its last lines.
        error: Why it failed, in words.
        sent_at: When a worker was told last; while an outside system is left alone, when the next one will be, less
            the time after which a message is sent again.
    """

    id: int
    kind: JobKind
    key: str
    queue: Queue
    state: JobState
    attempts: int
    inputs: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    progress: float
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    lease_until: datetime | None
    flight: str = ""
    is_cancel_requested: bool = False
    parent_id: int | None = None
    sent_at: datetime | None = None
    detail: dict[str, Any] = field(default_factory=dict)
