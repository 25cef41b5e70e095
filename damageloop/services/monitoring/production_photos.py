"""Keep a share of served photos for the pool, behind the answers: no answer waits for it, or fails by it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from damageloop.domain.production_photo import ProductionPhoto, is_drawn
from damageloop.errors import DamageloopError
from damageloop.monitoring_params import ProductionParams
from damageloop.ports import Clock
from damageloop.ports.monitoring import ProductionStore
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)

# What waits to be written holds no more than that; what comes then is not kept.
MAX_WAITING_BYTES = 64_000_000
# Of a vehicle's key; the database takes no longer one.
MAX_VEHICLE_LENGTH = 255


@dataclass(frozen=True, slots=True)
class OfferedPhoto:
    """A photo of a drawn request that waits to be written."""

    request_id: str
    position: int
    vehicle: str
    content: bytes


class ProductionPhotos:
    """Safe to share between threads. Until `start` was called everything is written at once, by who offers it."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        store: ProductionStore,
        clock: Clock,
        params: Callable[[], ProductionParams],
        nudge: Callable[[], None] = lambda: None,
    ) -> None:
        """`nudge` wakes the loop, which takes the photos in."""
        self._units = units
        self._store = store
        self._clock = clock
        self._params = params
        self._nudge = nudge
        self._waiting: queue.SimpleQueue[OfferedPhoto | None] = queue.SimpleQueue()
        self._n_bytes = 0
        self._counting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write behind the answers; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_on, name="production-photos", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits and end the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def offer(self, request_id: str, vehicle_id: str | None, contents: Sequence[bytes | None]) -> None:
        """Keep the photos of a request if it is drawn; None stands for a file that is no photo.

        Never fails: what can't be kept is told in the log.
        """
        share = self._params().share
        if share == 0.0 or not is_drawn(request_id, share):
            return
        vehicle = (vehicle_id or f"request-{request_id}")[:MAX_VEHICLE_LENGTH]
        for position, content in enumerate(contents):
            if content is not None:
                self._accept(OfferedPhoto(request_id, position, vehicle, content))

    def _accept(self, photo: OfferedPhoto) -> None:
        if self._thread is None:
            self._keep(photo)
            return
        with self._counting:
            if self._n_bytes + len(photo.content) > MAX_WAITING_BYTES:
                logger.warning("a production photo was not kept: too many wait to be written")
                return
            self._n_bytes += len(photo.content)
        self._waiting.put(photo)

    def _write_on(self) -> None:
        while (photo := self._waiting.get()) is not None:
            self._keep(photo)
            with self._counting:
                self._n_bytes -= len(photo.content)

    def _keep(self, photo: OfferedPhoto) -> None:
        try:
            self._write(photo)
        except DamageloopError as exc:
            logger.warning("a production photo was not kept: %s", exc)
        except Exception:
            # The thread must outlive anything; one photo less in the pool harms nobody.
            logger.exception("a production photo was not kept")

    def _write(self, photo: OfferedPhoto) -> None:
        now = self._clock.now()
        with self._units(read_only=True) as work:
            is_full = work.production_photos.n_kept_since(_midnight(now)) >= self._params().max_per_day
        if is_full:
            return
        # The bytes first: a row promises that they are there.
        key = self._store.put(photo.request_id, photo.position, photo.content)
        with self._units() as work:
            work.production_photos.add(ProductionPhoto(photo.request_id, photo.position, photo.vehicle, key, now))
            work.after_commit(self._nudge)
            work.commit()


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
