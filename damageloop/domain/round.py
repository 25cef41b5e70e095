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
    """By which rule an image came into a round (see `Pre-labels` in the glossary).

    `priority`: somebody asked for a train image. One of val or test that is asked for is `audited` without a
    probability, so that its pre-labels stay hidden.
    """

    CHOSEN = "chosen"
    EXPLORED = "explored"
    AUDITED = "audited"
    PRIORITY = "priority"


# Drawn at random with a known probability: what estimates stand on.
RANDOM_SHARES = frozenset({Share.EXPLORED, Share.AUDITED})


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
        probability: Probability of selection under the share's rule; None where it is not known. An item that
            was carried over from an earlier round keeps its first one.
        reason: Why it was chosen, in words.
        score: Acquisition score of the strategy, higher is sooner; None for what no strategy chose.
        expected_seconds: Predicted seconds of review; None while no model has scored the image.
    """

    image_id: int
    share: Share
    rank: int
    probability: float | None
    reason: str
    state: ItemState = ItemState.PENDING
    task_id: int | None = None
    score: float | None = None
    expected_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """A batch of review work.

    Attributes:
        strategy: What really chose; `note` says why where it is not the one that was asked for.
        model_version: None when no champion existed.
        seed: Of its random numbers: the same state and seed give the same round.
        note: What people should know of how it was made, in words.
    """

    id: int
    kind: RoundKind
    strategy: str
    state: RoundState
    model_version: int | None
    seed: int
    opened_at: datetime
    closed_at: datetime | None = None
    note: str | None = None
