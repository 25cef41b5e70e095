"""What serving needs from outside: what the API says of itself, how much a key may ask for, where a key is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ServingReport:
    """What a serving process says of itself.

    Attributes:
        version: The version that answers; None while none is loaded.
        problem: Why it is not the newest promotion, in words; None when it is.
    """

    version: int | None
    problem: str | None = None


class ServingProbe(Protocol):
    """Asks the API."""

    def report(self) -> ServingReport:
        """Return what it says. Raises UnavailableError when it does not answer."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of what somebody may ask for within a minute.

    Attributes:
        is_granted: This request is within it.
        limit: Requests a minute.
        remaining: Requests that are left; None where finding out costs more than it is worth.
        reset_s: Whole seconds after which more is granted.
    """

    is_granted: bool
    limit: int
    remaining: int | None
    reset_s: int


class RequestLimiter(Protocol):
    """Counts requests in a sliding window of a minute."""

    async def take(self, who: str, per_minute: int, is_counted: bool = True) -> Allowance:
        """Count one request, if it is within the limit, or only tell whether it would be; never fails."""


class KeptKey(Protocol):
    """Where the platform keeps an API key for itself."""

    def follow(self, old_hash: str, new_key: str) -> None:
        """Keep the new key in place of the one with this hash; nothing happens if another one is kept."""
