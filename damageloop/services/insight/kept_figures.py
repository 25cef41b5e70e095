"""Figures that take seconds to work out, kept until what they rest on changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock, Thread
from time import monotonic
from typing import Any, Generic, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")


class KeptFigures(Generic[T]):
    """Works figures out once for each state; threads of one process may share it.

    Nobody waits for slow figures twice: when the state has changed, the caller gets those of before, which say when
    they were made, and one thread works the new ones out. Quick ones are worked out on the spot.
    """

    def __init__(self, patience_s: float = 0.5) -> None:
        """`patience_s` is what figures may have taken the last time to be worked out while the caller waits."""
        self._patience_s = patience_s
        self._lock = Lock()
        self._known: tuple[Any, T, float] | None = None
        self._worker: Thread | None = None

    def __call__(self, read_state: Callable[[], Any], work_out: Callable[[], T]) -> T:
        """Return the figures. What `read_state` and `work_out` raise is raised, but where figures of before are given.

        Args:
            read_state: Quick; returns what equals itself as long as the figures stay the same.
            work_out: Returns the figures.
        """
        with self._lock:
            known = self._known
        if known is not None and known[0] == read_state():
            return known[1]
        if known is None or known[2] <= self._patience_s:
            return self._renew(read_state, work_out)
        self._begin(read_state, work_out)
        return known[1]

    def wait(self) -> None:
        """Wait for the thread that works figures out, if there is one."""
        if self._worker is not None:
            self._worker.join()

    def _begin(self, read_state: Callable[[], Any], work_out: Callable[[], T]) -> None:
        with self._lock:
            if self._worker is not None and self._worker.is_alive():
                return
            self._worker = Thread(target=self._try, args=(read_state, work_out), name="kept-figures", daemon=True)
            self._worker.start()

    def _try(self, read_state: Callable[[], Any], work_out: Callable[[], T]) -> None:
        try:
            self._renew(read_state, work_out)
        except Exception:
            # The next caller waits for the figures, and is told what is wrong.
            logger.exception("Figures could not be worked out.")
            with self._lock:
                self._known = None

    def _renew(self, read_state: Callable[[], Any], work_out: Callable[[], T]) -> T:
        # Before the figures: what changes in between makes them be worked out again.
        state, began = read_state(), monotonic()
        found = work_out()
        with self._lock:
            self._known = (state, found, monotonic() - began)
        return found
