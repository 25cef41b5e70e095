"""Small versions of stored images, for people to look at. The last ones made are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from damageloop.domain.image import ImageStatus
from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWorkFactory

# Of an image file and the longest side in pixels.
Shrink = Callable[[bytes, int], bytes]


# A grid of 200 tiles at two sizes stays; more than that a process need not hold.
MAX_KEPT_BYTES = 32 * 2**20


class KeptTiles:
    """The thumbnails that were asked for last, up to a number of bytes. Safe to use from threads."""

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def get(self, key: tuple[str, int]) -> bytes | None:
        """Return a thumbnail that is kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: tuple[str, int], tile: bytes) -> None:
        """Keep a thumbnail; those that were asked for longest ago make room."""
        with self._lock:
            self._n_bytes += len(tile) - len(self._kept.pop(key, b""))
            self._kept[key] = tile
            while self._n_bytes > self._max_bytes:
                self._n_bytes -= len(self._kept.popitem(last=False)[1])


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Makes thumbnails when they are asked for."""

    units: UnitOfWorkFactory
    store: ImageStore
    shrink: Shrink
    kept: KeptTiles = field(default_factory=KeptTiles)

    def tag(self, image_id: int, side_px: int) -> str:
        """Return a name that changes when the thumbnail does. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            return f"{work.images.get(image_id).stored.sha256[:32]}-{side_px}"

    def jpeg(self, image_id: int, side_px: int) -> bytes:
        """Return a JPEG whose longest side is at most `side_px`; a smaller image is not enlarged.

        Raises:
            NotFoundError: If there is no such image, or its bytes are gone.
        """
        with self.units(read_only=True) as work:
            image = work.images.get(image_id)
        if image.status is ImageStatus.FORGOTTEN:
            # Whoever looked at it before may have left a tile here.
            return self.shrink(self.store.read(image.store_key), side_px)
        tile = self.kept.get((image.store_key, side_px))
        if tile is None:
            tile = self.shrink(self.store.read(image.store_key), side_px)
            self.kept.keep((image.store_key, side_px), tile)
        return tile
