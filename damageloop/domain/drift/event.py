"""What the watch over drift writes down: a report of each look, an event beyond the thresholds, and its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from damageloop.domain.drift.columns import Comparison


class DriftState(StrEnum):
    """`too_few`: not enough photos to say anything. `acceptable`: stored, and nothing else happens."""

    TOO_FEW = "too_few"
    ACCEPTABLE = "acceptable"
    BEYOND = "beyond"


@dataclass(frozen=True, slots=True)
class JudgedColumn:
    """A comparison with what it was found to be.

    Attributes:
        p_adjusted: Its probability, corrected for the number of columns that were looked at together.
        is_beyond: It lies beyond its threshold, or has not come back below the lower one since it did.
    """

    comparison: Comparison
    p_adjusted: float
    is_beyond: bool
    words: str


@dataclass(frozen=True, slots=True)
class Look:
    """What was compared with what.

    Attributes:
        reference: Name of the reference: `random` or `served`.
        first_at: When the oldest photo of the window was answered; None without any, as `last_at`.
        n_requests: Of how many requests they were.
    """

    reference: str
    n_reference: int
    n_window: int
    n_requests: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One look at a window.

    Attributes:
        id: 0 until it is stored.
        words: What was found, as sentences for people.
        performance: Expected figures without labels and real ones beside them, as `expected_performance` writes them.
        event_id: The event that it opened or belongs to.
    """

    id: int
    model_version: int
    state: DriftState
    asked_by: str
    created_at: datetime
    look: Look
    columns: tuple[JudgedColumn, ...] = ()
    words: tuple[str, ...] = ()
    performance: Mapping[str, Any] = field(default_factory=dict)
    event_id: int | None = None


class StepName(StrEnum):
    """What is done about an event, in this order."""

    TRAINING = "training"
    PHOTOS = "photos"
    ROUND = "round"
    LABELS = "labels"
    PROMOTION = "promotion"
    MEASURED_AGAIN = "measured_again"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, with its words for people and what a program may want to know of it."""

    name: StepName
    at: datetime
    words: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """Served photos are no longer like the reference.

    Attributes:
        id: 0 until it is stored.
        model_version: The champion whose answers drifted.
        reason: In words.
        kinds: What it is called where it has a name: `dark`, `blurred`, ...
        bounds: By quality column the lowest and highest value that the reference has but for 1 %, on the side to which
            the photos moved: beyond it a photo is affected.
        report_id: The report that found it.
        outcome: How it ended, in words; None while it is open.
    """

    id: int
    model_version: int
    reason: str
    opened_at: datetime
    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    bounds: Mapping[str, tuple[float | None, float | None]]
    report_id: int
    steps: tuple[Step, ...] = ()
    resolved_at: datetime | None = None
    outcome: str | None = None

    def step(self, name: StepName) -> Step | None:
        """Return the step of this name, or None while it was not done."""
        return next((step for step in self.steps if step.name is name), None)
