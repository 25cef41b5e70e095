"""A second task for an image that has an annotation already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OpinionKind(StrEnum):
    """`opinion`: another annotator looks; `rework`: the image was sent back."""

    OPINION = "opinion"
    REWORK = "rework"


class OpinionState(StrEnum):
    """`pending` has no task yet, `sent` waits for a human; the others are final."""

    PENDING = "pending"
    SENT = "sent"
    REVIEWED = "reviewed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """A wish for another look at an image, and the task that it became."""

    id: int
    image_id: int
    kind: OpinionKind
    reason: str
    asked_by: str
    state: OpinionState
    task_id: int | None
    created_at: datetime
    ended_at: datetime | None
