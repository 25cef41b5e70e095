"""A round: the images that are put before humans together, and why each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RoundKind(StrEnum):
    """`audit` grows the evaluation set; `query` asks what the model would learn most from."""

    AUDIT = "audit"
    QUERY = "query"


class RoundState(StrEnum):
    """`opening`: chosen, not yet all in the annotation tool."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


class Share(StrEnum):
    """By which rule an image came into a round (see `Pre-labels` in the glossary)."""

    CHOSEN = "chosen"
    EXPLORED = "explored"
    AUDITED = "audited"


class ItemState(StrEnum):
    """Life of an item: chosen, sent to the tool, reviewed by a human or withdrawn untouched."""

    PENDING = "pending"
    SENT = "sent"
    REVIEWED = "reviewed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class RoundItem:
    """One image of a round.

    Attributes:
        rank: Place in the round, from 0.
        probability: Probability of selection under the share's rule; None where it is not known.
        reason: Why it was chosen, in words.
    """

    image_id: int
    share: Share
    rank: int
    probability: float | None
    reason: str
    state: ItemState = ItemState.PENDING
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """A batch of review work. `model_version` is None when no champion existed."""

    id: int
    kind: RoundKind
    strategy: str
    state: RoundState
    model_version: int | None
    seed: int
    opened_at: datetime
    closed_at: datetime | None = None
