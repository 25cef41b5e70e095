"""A wish for a training or an audit that comes from beside the count of new annotations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TriggerKind(StrEnum):
    """What is wished for: a snapshot with a training on it, or an audit round."""

    TRAINING = "training"
    AUDIT = "audit"


class TriggerOrigin(StrEnum):
    """Who or what wishes it."""

    PERSON = "person"
    DRIFT = "drift"
    AGE = "age"
    COMPARISONS = "comparisons"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A wish; it ends when what was wished for was asked for, or turned out not to be needed.

    Attributes:
        outcome: What came of it, in words; None while it is open.
    """

    id: int
    kind: TriggerKind
    origin: TriggerOrigin
    reason: str
    asked_by: str
    created_at: datetime
    ended_at: datetime | None
    outcome: str | None
