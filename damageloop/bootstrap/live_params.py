"""Parameters for processes that live long: read anew when params.yaml was changed."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from damageloop.domain.labels import FormerNames
from damageloop.errors import InvalidInputError
from damageloop.params import Params, load_params

logger = logging.getLogger(__name__)


class LiveParams:
    """The parameters as they are now. Safe to call from threads; asking costs a look at the file's date.

    Raises:
        InvalidInputError: If params.yaml is missing or wrong at the start. Later the last good ones stay.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._changed_at = self._date()
        self._params = load_params(path)

    def __call__(self) -> Params:
        """Return the newest parameters that could be read."""
        with self._lock:
            date = self._date()
            if date != self._changed_at:
                self._changed_at = date
                try:
                    self._params = load_params(self._path)
                except InvalidInputError as exc:
                    # The sentence says all; a person is editing the file, perhaps.
                    logger.warning("the parameters from before stay in use: %s", exc)
            return self._params

    def former_names(self) -> FormerNames:
        """Return what classes were called before."""
        return self().labels.former

    def _date(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None
