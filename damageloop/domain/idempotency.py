"""Requests that may be sent twice: the second gets the answer of the first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that came with an idempotency key.

    Attributes:
        api_key_id: Whose request it is: keys of others never meet.
        route: Method and path.
        fingerprint: sha256 of what was sent; another one under the same key is a mistake of the client.
        status: HTTP status of the answer; None while the first request is still in work.
        answer: The answer's JSON; None while there is none.
    """

    api_key_id: int
    key: str
    route: str
    fingerprint: str
    created_at: datetime
    status: int | None = None
    answer: dict[str, Any] | None = None
