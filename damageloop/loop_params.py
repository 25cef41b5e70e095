"""Parameters of the loop: rounds, what annotators are shown, and what asks for a snapshot, a training or an audit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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


class AnnotationParams(Section):
    """What annotators are shown."""

    display_threshold: UnitShare


class RetrainParams(Section):
    """When a snapshot and a training are due."""

    min_new_annotations: Positive
    max_deleted_share: UnitShare
