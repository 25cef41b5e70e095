"""A queue that remembers what it was told."""

from __future__ import annotations

from dataclasses import dataclass, field

from damageloop.errors import UnavailableError


@dataclass
class FakeJobQueue:
    """Implements `JobQueue`. Set `is_down` to make it refuse every message, as a broker that is gone does."""

    sent: list[tuple[int, str]] = field(default_factory=list)
    is_down: bool = False

    def send(self, job_id: int, queue: str) -> None:
        if self.is_down:
            raise UnavailableError("The broker does not answer.")
        self.sent.append((job_id, queue))
