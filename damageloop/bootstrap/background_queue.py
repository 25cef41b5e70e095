"""Tells workers of jobs from a thread, so that whoever asks for a job never waits for a broker."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from damageloop.bootstrap.background_nudge import BackgroundNudge


class BackgroundQueue:
    """A `JobQueue` that returns at once. What is lost does no harm: the ledger has the job, the sweeper sends it."""

    def __init__(self, send: Callable[[int, str], None]) -> None:
        self._send = send
        self._waiting: SimpleQueue[tuple[int, str]] = SimpleQueue()
        self._nudge = BackgroundNudge(self._send_all)

    def send(self, job_id: int, queue: str) -> None:
        """Have a worker told."""
        self._waiting.put((job_id, queue))
        self._nudge()

    def close(self) -> None:
        """Send what still waits, then end the thread."""
        self._nudge.close()

    def _send_all(self) -> None:
        while True:
            try:
                job_id, queue = self._waiting.get_nowait()
            except Empty:
                return
            self._send(job_id, queue)
