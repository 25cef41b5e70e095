"""An API that follows promotions, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.errors import UnavailableError
from damageloop.ports.serving import ServingReport


@dataclass
class FakeServing:
    """What the API does: it answers with the champion, is down, or is stuck at a version with a problem."""

    is_down: bool = False
    stuck_at: int | None = None
    problem: str | None = None

    def watched(self, champion: Callable[[], int | None]) -> Watched:
        """Return a probe on it; `champion` tells which version it would load."""
        return Watched(self, champion)


@dataclass(frozen=True)
class Watched:
    """Implements `ServingProbe`."""

    serving: FakeServing
    champion: Callable[[], int | None]

    def report(self) -> ServingReport:
        if self.serving.is_down:
            raise UnavailableError("The API does not answer.")
        return ServingReport(self.serving.stuck_at or self.champion(), self.serving.problem)
