"""Tells images that come alone from those of a crowd: one alone gets all cores, of a crowd each gets one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Traffic:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_present = 0
        self._was_crowded = False

    @contextmanager
    def passing(self) -> Iterator[bool]:
        """Tell whether the image that passes is alone.

        The first one after a crowd counts as one of it: between two images of a crowd there is often a moment with
        none, and who took all cores then would have to share them with the next.
        """
        with self._lock:
            self._n_present += 1
            is_first = self._n_present == 1
            is_alone = is_first and not self._was_crowded
            self._was_crowded = not is_first
        try:
            yield is_alone
        finally:
            with self._lock:
                self._n_present -= 1
