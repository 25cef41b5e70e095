"""What somebody asks for about one image: look at it next, leave it out, or look at it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RequestKind(StrEnum):
    """`pin`: into the next round, first. `skip`: never before annotators. `send_back`: reviewed, look again."""

    PIN = "pin"
    SKIP = "skip"
    SEND_BACK = "send_back"


# What wants a place in a round, and ends when the image is reviewed; a skip stays until it is replaced.
PRIORITY_KINDS = frozenset({RequestKind.PIN, RequestKind.SEND_BACK})


class RequestOrigin(StrEnum):
    """Who asks: a person, the drift watch, the finder of label errors, or the check of submits without content."""

    PERSON = "person"
    DRIFT = "drift"
    LABEL_CHECK = "label_check"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One request. An image has at most one that has not ended; a newer one of another kind ends it.

    Attributes:
        reason: Why, in words.
        asked_by: Name of the person or of the program.
        ended_at: When it was fulfilled or replaced; None while it holds.
        round_id: The round that took it up last: for a pin the one with the image, for a skip the one that the
            image was taken out of.
    """

    id: int
    image_id: int
    kind: RequestKind
    origin: RequestOrigin
    reason: str
    asked_by: str
    created_at: datetime
    ended_at: datetime | None = None
    round_id: int | None = None

    @property
    def in_words(self) -> str:
        """Return who asked and why, as the reason of an item."""
        verb = "sent back" if self.kind is RequestKind.SEND_BACK else "asked for"
        return f"{verb} by {self.asked_by}: {self.reason}"
