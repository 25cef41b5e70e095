"""Parameters of the loop: rounds, what annotators are shown, and what asks for a snapshot, a training or an audit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from damageloop.domain.labels import NO_DAMAGE, REASONS, UNUSABLE
from damageloop.domain.resolution import Resolve
from damageloop.training_params import Positive, Section, UnitShare


class StrategyParams(Section):
    """Which query strategy chooses."""

    name: str
    max_per_vehicle: Positive


class RoundParams(Section):
    """How large a round is and how it is made up.

    Attributes:
        max_minutes: Predicted minutes of review that a query round holds at most; None: no limit.
        max_images_per_day: Images put before annotators since 00:00 UTC at most; None: no limit.
        priority_share: What people and programs asked for takes at most this share of a round.
        annotators: How many people review at a time.
        open_ahead: The next round opens when so few items or fewer wait for review; 0: when the last one closes,
            and with several annotators while each still has one in hand.
    """

    query_size: Positive
    explored_share: UnitShare
    audited_share: UnitShare
    audit_images: Positive
    audit_groups: Positive
    max_age_days: Annotated[float, Field(gt=0.0)]
    open_while_training: bool
    seed: int
    max_minutes: Annotated[float, Field(gt=0.0)] | None = None
    max_images_per_day: Positive | None = None
    priority_share: UnitShare = 0.5
    annotators: Positive = 1
    open_ahead: Annotated[int, Field(ge=0)] = 0


# In a labeling configuration a comma separates values, and "$" begins a field of the task.
Reason = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^,$]*\S[^,$]*$")]


class AnnotationParams(Section):
    """What annotators are shown, and whose word counts where several looked at one image.

    Attributes:
        resolve: Rule by which one of the annotations of an image counts; see `domain.resolution`.
        consensus_iou: Boxes of two people that overlap by so much are the same damage.
        reviewers: Annotators, as `user-3`, whose word counts first under `reviewer`.
        second_opinion_share: Share of reviewed images that a second person looks at, drawn by a keyed hash.
        known_item_share: Share of annotators' tasks whose answer is known; see `services.reviews.known_items`.
        reasons: What annotators can choose as the reason why an image was skipped or can't be used.
        severity: Annotators may say of each box how bad the damage is.
    """

    display_threshold: UnitShare
    resolve: Resolve = Resolve.LATEST
    consensus_iou: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    reviewers: tuple[str, ...] = ()
    second_opinion_share: UnitShare = 0.0
    known_item_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    reasons: tuple[Reason, ...] = Field(default=REASONS, min_length=1, max_length=8)
    severity: bool = False

    @field_validator("reasons")
    @classmethod
    def _are_distinct(cls, reasons: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(reasons)) != len(reasons) or set(reasons) & {NO_DAMAGE, UNUSABLE}:
            raise ValueError("annotation.reasons are distinct, and neither of the choices of a photo without boxes")
        return reasons

    @model_validator(mode="after")
    def _names_its_reviewers(self) -> AnnotationParams:
        if self.resolve is Resolve.REVIEWER and not self.reviewers:
            raise ValueError("annotation.resolve reviewer needs annotation.reviewers")
        return self


class TriggerParams(Section):
    """What asks for a snapshot or an audit beside the count of `retrain.min_new_annotations`.

    Attributes:
        debounce_s: A snapshot that is due waits until nobody has changed anything for so long.
        max_wait_s: While people go on all the time it is made all the same, so long after it was due.
        on_drift: The drift watch may ask for a training.
        audit_max_age_days: An audit round is asked for when the newest one was opened so long ago; None: never.
        audit_after_comparisons: One is asked for after so many decisions against one frozen test set; None: never.
    """

    debounce_s: Annotated[float, Field(ge=0.0)] = 2.0
    max_wait_s: Annotated[float, Field(ge=0.0)] = 60.0
    on_drift: bool = True
    audit_max_age_days: Annotated[float, Field(gt=0.0)] | None = 30.0
    audit_after_comparisons: Positive | None = 10


class RetentionParams(Section):
    """How long what is of no more use is kept; None: for ever. See `services.images.retention`.

    Attributes:
        evidence_days: Answers that were given to pricing services, and valuations.
        served_days: Numbers of served photos, by which drift shows.
        idempotency_hours: Requests with an idempotency key: sent again later, they are done again.
        batches_days: Batches of photos, with their answers.
        inbox_days: Events of the annotation tool that were processed.
        jobs_days: Jobs that ended.
        unlabeled_days: Images that nobody ever annotated; after that they are forgotten.
    """

    evidence_days: Positive | None = 90
    served_days: Positive | None = 90
    idempotency_hours: Positive | None = 24
    batches_days: Positive | None = 7
    inbox_days: Positive | None = 30
    jobs_days: Positive | None = 90
    unlabeled_days: Positive | None = None


class RetrainParams(Section):
    """When a snapshot and a training are due."""

    min_new_annotations: Positive
    max_deleted_share: UnitShare
