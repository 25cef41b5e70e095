"""A second task for an image that has an annotation already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OpinionKind(StrEnum):
    """`opinion`: another annotator looks; `rework`: the image was sent back; `known`: the answer is known already."""

    OPINION = "opinion"
    REWORK = "rework"
    KNOWN = "known"


class OpinionState(StrEnum):
    """`pending` has no task yet, `sent` waits for a human; the others are final."""

    PENDING = "pending"
    SENT = "sent"
    REVIEWED = "reviewed"
    WITHDRAWN = "withdrawn"


OPEN_STATES = frozenset({OpinionState.PENDING, OpinionState.SENT})


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """A wish for another look at an image, and the task that it became.

    Attributes:
        known_annotation_id: Of a known item: the annotation whose word is trusted.
    """

    id: int
    image_id: int
    kind: OpinionKind
    reason: str
    asked_by: str
    state: OpinionState
    task_id: int | None
    created_at: datetime
    ended_at: datetime | None
    known_annotation_id: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


def is_drawn(sha256: str, share: float) -> bool:
    """Tell whether an image is in the share that a second person looks at: by its bytes alone, so no order matters."""
    return _uniform("second opinion", sha256) < share


def place_of(sha256: str) -> float:
    """Return where in the queue a second opinion is mixed in: 0 first, below 1; independent of the draw."""
    return _uniform("place of a second opinion", sha256)


def _uniform(purpose: str, sha256: str) -> float:
    digest = hashlib.sha256(f"{purpose}:{sha256}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
