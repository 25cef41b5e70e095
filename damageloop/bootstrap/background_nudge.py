"""Sends nudges from a thread, so that whoever nudges never waits for a broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from damageloop.errors import UnavailableError

logger = logging.getLogger(__name__)


class BackgroundNudge:
    """A callable that returns at once; many calls while one is being sent become one. The thread starts at first use.

    A nudge that is lost does no harm: the loop turns by itself every few seconds.
    """

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._is_wanted = threading.Event()
        self._is_over = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Have a nudge sent."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nudge", daemon=True)
                self._thread.start()
        self._is_wanted.set()

    def close(self) -> None:
        """Send what is still wanted, then end the thread."""
        self._is_over.set()
        self._is_wanted.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                self._send()
            except UnavailableError as exc:
                logger.warning("a nudge was not sent: %s", exc)
            except Exception:
                logger.exception("a nudge was not sent")
