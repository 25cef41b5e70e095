"""What the operations surface sends. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from api.schemas.pricing import Schema, Version
from damageloop.domain.image import ImageStatus, Origin
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind, JobState, Queue
from damageloop.domain.promotion import DecisionKind, PromotionReason, PromotionStep
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.domain.split import Split
from damageloop.domain.trigger import TriggerKind, TriggerOrigin
from damageloop.services.images.request_images import MAX_REASON_LENGTH
from damageloop.services.models.promote_by_hand import MAX_REASON_LENGTH as MAX_PROMOTION_REASON
from damageloop.services.rounds.ask_for_round import MAX_IMAGE_IDS, MAX_QUERY_SIZE


class DecisionSchema(Schema):
    id: int
    champion: Version | None
    challenger: Version
    decision: DecisionKind
    reasons: list[str]
    evidence: dict[str, Any]
    created_at: datetime
    test_hash: str | None = Field(default=None, description="Of the test images and what humans said of them.")
    comparison: int | None = Field(
        default=None, description="Which comparison against this test set it was, from 1 on; audits renew the set."
    )


class PromotionStepSchema(Schema):
    """`done_at` is null while the step waits; `detail` says what was seen or done."""

    step: PromotionStep
    detail: str | None
    done_at: datetime | None


class PromotionSchema(Schema):
    """`steps`: done ones as they were recorded, then those that still wait."""

    id: int
    model_version: Version
    previous_version: Version | None
    reason: PromotionReason
    asked_by: str | None
    note: str | None
    created_at: datetime
    steps: list[PromotionStepSchema]


class PromoteRequest(Schema):
    """`against_the_gate`: also a version that the gate refused or has not judged."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "agreed with pricing", "against_the_gate": False}]},
    )

    reason: str = Field(min_length=1, max_length=MAX_PROMOTION_REASON)
    against_the_gate: bool = False


class RollbackRequest(Schema):
    """`to`: an earlier champion; the one before this when it is left out. Asked again with `to`, nothing changes."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "false alarms on wet cars", "to": "6"}]}
    )

    reason: str = Field(min_length=1, max_length=MAX_PROMOTION_REASON)
    to: Annotated[str, Field(pattern=r"^[1-9]\d{0,8}$")] | None = None


class ChangedChampionSchema(Schema):
    """`changed` is false when the version was champion already."""

    changed: bool
    detail: str
    promotion: PromotionSchema


class ModelSchema(Schema):
    model_version: Version
    is_champion: bool
    snapshot_id: int | None
    run_id: str
    mlflow_version: str
    metrics: dict[str, Any]
    decision: DecisionSchema | None
    promotions: list[PromotionSchema]
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
    """All may be left out: then it is a query round as params.yaml says. `image_ids`: exactly these images.

    `subset_id`: the strategy chooses among the train images of this saved subset; nothing is drawn at random.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"strategy": "coreset", "query_size": 50}]}
    )

    kind: RoundKind = RoundKind.QUERY
    strategy: str | None = Field(default=None, max_length=64)
    query_size: int | None = Field(default=None, ge=1, le=MAX_QUERY_SIZE)
    image_ids: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] = Field(default=[], max_length=MAX_IMAGE_IDS)
    subset_id: int | None = Field(default=None, ge=1, le=2**31 - 1)


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


class RedactionSchema(Schema):
    """That an image was forgotten. `done`: when each place was cleared; `finished_at`: when all of them were."""

    image_id: int
    sha256: str
    reason: str
    asked_by: str
    done: dict[str, str]
    created_at: datetime
    finished_at: datetime | None


def _told_origin(origin: RequestOrigin) -> RequestOrigin:
    # Strict clients of the first release know three origins; a submit without content is found by a check of labels.
    return RequestOrigin.LABEL_CHECK if origin is RequestOrigin.BLANK else origin


ToldOrigin = Annotated[
    Literal[RequestOrigin.PERSON, RequestOrigin.DRIFT, RequestOrigin.LABEL_CHECK], BeforeValidator(_told_origin)
]


class ImageRequestSchema(Schema):
    """`round_id`: the round that took it up last. `ended_at`: when it was fulfilled or replaced."""

    id: int
    image_id: int
    kind: RequestKind
    origin: ToldOrigin
    reason: str
    asked_by: str
    created_at: datetime
    ended_at: datetime | None
    round_id: int | None


class SecondOpinionSchema(Schema):
    """A second look at an image. `task_id`: its task in Label Studio, once it has one."""

    id: int
    image_id: int
    # A known item is told to nobody.
    kind: Literal[OpinionKind.OPINION, OpinionKind.REWORK]
    reason: str
    asked_by: str
    state: OpinionState
    task_id: int | None
    created_at: datetime
    ended_at: datetime | None


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
    second_opinions: list[SecondOpinionSchema]
    label_studio_url: str | None = Field(default=None, description="Where a person opens its task.")


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


class TriggerRequest(Schema):
    """`training`: a snapshot of what changed and a training on it; `audit`: a round of val and test photos."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "training", "reason": "boxes of dents were redrawn"}]}
    )

    kind: TriggerKind
    reason: str = Field(min_length=1, max_length=MAX_REASON_LENGTH)


class TriggerSchema(Schema):
    """`outcome`: what came of it, in words; null while it is open."""

    id: int
    kind: TriggerKind
    origin: TriggerOrigin
    reason: str
    asked_by: str
    created_at: datetime
    ended_at: datetime | None
    outcome: str | None


class JobSchema(Schema):
    id: int
    kind: str = Field(
        description=f"What the job does: {', '.join(kind.value for kind in JobKind)}. An open list: others may come."
    )
    key: str
    flight: str = Field(description="Of one flight only one job is ever queued or running.")
    queue: Queue
    state: JobState
    attempts: int
    progress: float
    message: str
    detail: dict[str, Any] = Field(
        default_factory=dict,
        description="Of a training: `epoch`, `epochs`, `loss`, `seconds_left` (null while unknown) and `log`.",
    )
    error: str | None
    inputs: dict[str, Any]
    result: dict[str, Any] | None
    is_cancel_requested: bool
    parent_id: int | None = Field(description="The job that this one tries again.")
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None
