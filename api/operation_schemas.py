"""What the operations surface sends. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.schemas import Schema, Version
from damageloop.domain.image import ImageStatus, Origin
from damageloop.domain.job import JobKind, JobState, Queue
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.split import Split


class DecisionSchema(Schema):
    id: int
    champion: Version | None
    challenger: Version
    decision: DecisionKind
    reasons: list[str]
    evidence: dict[str, Any]
    created_at: datetime


class ModelSchema(Schema):
    model_version: Version
    is_champion: bool
    snapshot_id: int | None
    run_id: str
    mlflow_version: str
    metrics: dict[str, Any]
    decision: DecisionSchema | None
    created_at: datetime


class RoundSchema(Schema):
    id: int
    kind: RoundKind
    strategy: str
    state: RoundState
    model_version: Version | None
    opened_at: datetime
    closed_at: datetime | None


class RoundItemSchema(Schema):
    image_id: int
    share: Share
    rank: int
    probability: float | None
    reason: str
    state: ItemState
    task_id: int | None


class ImageSchema(Schema):
    id: int
    sha256: str
    file_name: str
    width: int
    height: int
    vehicle: str
    split: Split
    status: ImageStatus
    origin: Origin
    brightness: float
    contrast: float
    sharpness: float
    round_item: RoundItemSchema | None


class QuarantinedSchema(Schema):
    file: str
    code: str
    reason: str


class SnapshotSchema(Schema):
    id: int
    git_tag: str
    git_commit: str
    content_hash: str
    parent_id: int | None
    counts: dict[str, Any]
    created_at: datetime


class JobSchema(Schema):
    id: int
    kind: JobKind
    key: str
    queue: Queue
    state: JobState
    attempts: int
    progress: float
    message: str
    error: str | None
    result: dict[str, Any] | None
    is_cancel_requested: bool
    parent_id: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
