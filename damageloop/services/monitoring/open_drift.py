"""The bounds of open drift events, for a process that answers: read by a thread, never within a request."""

from __future__ import annotations

import logging
import threading

from damageloop.domain.drift.bounds import DriftBounds
from damageloop.errors import DamageloopError
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)

POLL_S = 5.0
NOTHING = DriftBounds({})


class OpenDrift:
    """Safe to share between threads."""

    def __init__(self, units: UnitOfWorkFactory, poll_s: float = POLL_S) -> None:
        self._units = units
        self._poll_s = poll_s
        self._bounds = NOTHING
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self) -> DriftBounds:
        """Return the bounds as they were at the last look; without an open event nothing is beyond them."""
        return self._bounds

    def refresh(self) -> None:
        """Look once. While the database is away the bounds stay as they are."""
        try:
            with self._units(read_only=True) as work:
                events = work.drift.open_events()
        except DamageloopError as exc:
            logger.warning("the open drift event could not be read: %s", exc)
            return
        self._bounds = DriftBounds({name: bound for event in events for name, bound in event.bounds.items()})

    def start(self) -> None:
        """Begin to look now and then; returns at once."""
        if self._thread is None:
            self._is_over.clear()
            self._thread = threading.Thread(target=self._look_on, name="open-drift", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _look_on(self) -> None:
        while True:
            try:
                self.refresh()
            except Exception:
                # The thread must outlive anything; answers go on with what was known.
                logger.exception("the open drift event could not be read")
            if self._is_over.wait(self._poll_s):
                return
