"""Which model the serving processes answer with, as somebody outside sees it."""

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
