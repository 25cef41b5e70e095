"""Keep the evidence of answers behind the answers: one thread writes whatever waits in one transaction.

An answer does not wait for the database unless its client asked for that. What a killed process had not committed yet,
that of a tenth of a second, is lost; a process that ends in order writes all of it first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from itertools import islice
from typing import Any

from damageloop.domain.evidence import Evidence
from damageloop.errors import UnavailableError
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)

MAX_WAITING = 500
AT_ONCE = 100
# How long an answer waits for room, or for its own commit, before it is refused.
PATIENCE_S = 10.0
RETRY_AFTER_S = 0.5
# Between two transactions, so that the second has more to write: one for each answer costs three times as much.
PAUSE_S = 0.1


class EvidenceLog:
    """Safe to share between threads. Until `start` was called everything is written at once, by who adds it."""

    def __init__(
        self, units: UnitOfWorkFactory, max_waiting: int = MAX_WAITING, patience_s: float = PATIENCE_S
    ) -> None:
        self._units = units
        self._max_waiting = max_waiting
        self._patience_s = patience_s
        self._waiting: dict[str, Evidence] = {}
        self._changed = threading.Condition()
        self._is_over = False
        self._n_hurried = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write behind the answers; returns at once."""
        with self._changed:
            if self._thread is None:
                self._is_over = False
                self._thread = threading.Thread(target=self._write_on, name="evidence", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits and end the thread. What the database does not take now is lost, and told in the log."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._waiting:
            logger.error("the evidence of %d answers could not be written and is lost", len(self._waiting))

    def add(self, evidence: Evidence) -> None:
        """Keep the evidence of an answer that is about to be given; waits only while too much is waiting.

        Raises:
            UnavailableError: If there was no room in time: the answer must not be given.
        """
        with self._changed:
            if self._thread is not None and not self._is_over:
                if not self._changed.wait_for(self._has_room, self._patience_s):
                    raise UnavailableError("The database takes no evidence at the moment.")
                self._waiting[evidence.request_id] = evidence
                # The thread is awake, or will look by itself, unless there was nothing before or is no room after this.
                if len(self._waiting) == 1 or not self._has_room():
                    self._changed.notify_all()
                return
        self._write([evidence])

    def wait_until_kept(self, request_id: str) -> None:
        """Return when the evidence is in the database. Raises UnavailableError when that takes too long."""
        with self._changed:
            self._n_hurried += 1
            self._changed.notify_all()
            try:
                is_kept = self._changed.wait_for(lambda: request_id not in self._waiting, self._patience_s)
            finally:
                self._n_hurried -= 1
        if not is_kept:
            raise UnavailableError("The database did not take the evidence in time.")

    def get(self, request_id: str) -> dict[str, Any]:
        """Return the content of the evidence, also of what is not written yet. Raises NotFoundError."""
        with self._changed:
            waiting = self._waiting.get(request_id)
        if waiting is not None:
            return dict(waiting.content)
        with self._units(read_only=True) as work:
            return work.evidence.get(request_id)

    def _has_room(self) -> bool:
        return len(self._waiting) < self._max_waiting

    def _write_on(self) -> None:
        while batch := self._next():
            is_written = self._is_written(batch)
            with self._changed:
                if is_written:
                    for evidence in batch:
                        del self._waiting[evidence.request_id]
                    self._changed.notify_all()
                    self._changed.wait_for(self._is_hurried, PAUSE_S)
                elif self._is_over:
                    return
                else:
                    self._changed.wait_for(lambda: self._is_over, RETRY_AFTER_S)

    def _is_hurried(self) -> bool:
        return self._is_over or self._n_hurried > 0 or not self._has_room()

    def _next(self) -> list[Evidence]:
        """Return what has waited longest; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            return list(islice(self._waiting.values(), AT_ONCE))

    def _is_written(self, batch: Sequence[Evidence]) -> bool:
        try:
            self._write(batch)
        except UnavailableError as exc:
            logger.warning("%d answers wait for their evidence to be written: %s", len(self._waiting), exc)
            return False
        except Exception:
            # The thread must outlive anything, or no answer would be given any more; one bad row costs itself only.
            logger.exception("evidence could not be written together; trying one by one")
            outcomes = [self._is_written_or_dropped(evidence) for evidence in batch]
            return all(outcomes)
        return True

    def _is_written_or_dropped(self, evidence: Evidence) -> bool:
        try:
            self._write([evidence])
        except UnavailableError:
            return False
        except Exception:
            logger.exception("the evidence of answer %s can't be kept", evidence.request_id)
        return True

    def _write(self, batch: Sequence[Evidence]) -> None:
        with self._units() as work:
            work.evidence.add_many(batch)
            work.served_images.add_many([served for evidence in batch for served in evidence.served])
            work.commit()
