"""An image that was forgotten: that it was, when and why, and nothing of what it showed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Redaction:
    """The record that stays.

    Attributes:
        sha256: Hash of the stored bytes, by which earlier snapshots name the image.
        source_sha256: Hash of the file as it came, which an import refuses from now on.
        done: What is done by now, by place, in words.
        finished_at: None while some place still has to be cleaned.
    """

    id: int
    image_id: int
    sha256: str
    source_sha256: str
    extension: str
    reason: str
    asked_by: str
    done: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None
