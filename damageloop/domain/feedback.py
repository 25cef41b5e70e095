"""What a pricing service says of an answer afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FeedbackKind(StrEnum):
    """What was wrong with an answer."""

    MISSED = "missed"
    FALSE_ALARM = "false_alarm"
    WRONG_CLASS = "wrong_class"
    WRONG_PRICE = "wrong_price"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One remark about one answer; `model_version` is the one that gave it."""

    id: int
    request_id: str
    model_version: int
    kind: FeedbackKind
    note: str
    api_key_id: int
    created_at: datetime
