"""What the operations surface sends. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas import Schema, Version
from damageloop.domain.image import ImageStatus, Origin
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind, JobState, Queue
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.split import Split
from damageloop.services.ask_for_round import MAX_IMAGE_IDS, MAX_QUERY_SIZE
from damageloop.services.request_images import MAX_REASON_LENGTH


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
    seed: int
    note: str | None = Field(description="Why another strategy chose than the one asked for, and the like.")


class AnnotatorProgressSchema(Schema):
    annotator: str
    reviewed: int
    median_seconds: float | None


class RoundProgressSchema(Schema):
    """Numbers of items by state, and by share and state; predicted seconds are null where one is unknown."""

    round: RoundSchema
    by_state: dict[ItemState, int]
    by_share: dict[Share, dict[ItemState, int]]
    expected_seconds: float | None
    expected_seconds_left: float | None
    annotators: list[AnnotatorProgressSchema]


class RoundRequest(Schema):
    """All may be left out: then it is a query round as params.yaml says. `image_ids`: exactly these images."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"strategy": "coreset", "query_size": 50}]}
    )

    kind: RoundKind = RoundKind.QUERY
    strategy: str | None = Field(default=None, max_length=64)
    query_size: int | None = Field(default=None, ge=1, le=MAX_QUERY_SIZE)
    image_ids: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] = Field(default=[], max_length=MAX_IMAGE_IDS)


class RoundItemSchema(Schema):
    image_id: int
    share: Share
    rank: int
    probability: float | None
    reason: str
    state: ItemState
    task_id: int | None
    score: float | None
    expected_seconds: float | None


class ReasonSchema(Schema):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "a new kind of bumper"}]})

    reason: str = Field(min_length=1, max_length=MAX_REASON_LENGTH)


class ImageRequestSchema(Schema):
    """`round_id`: the round that took it up last. `ended_at`: when it was fulfilled or replaced."""

    id: int
    image_id: int
    kind: RequestKind
    origin: RequestOrigin
    reason: str
    asked_by: str
    created_at: datetime
    ended_at: datetime | None
    round_id: int | None


class ImageSchema(Schema):
    id: int
    sha256: str
    file_name: str
    width: int
    height: int
    vehicle: str
    group: str
    split: Split
    status: ImageStatus
    origin: Origin
    brightness: float
    contrast: float
    sharpness: float
    round_item: RoundItemSchema | None


class SimilarImageSchema(Schema):
    image_id: int
    similarity: float
    split: Split
    vehicle: str
    file_name: str


class SimilarImagesSchema(Schema):
    items: list[SimilarImageSchema]
    source: str | None


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
