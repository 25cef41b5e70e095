"""Who did what to what: acts that others must be able to question later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act.

    Attributes:
        actor: A key's name, `command line` or `loop`.
        action: Such as `promote`, `rollback`, `forget`, `allow-deletions`, `labels.add`.
        subject: What it was done to, such as `model 7`.
    """

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
