"""Small versions of stored images, for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWorkFactory

# Of an image file and the longest side in pixels.
Shrink = Callable[[bytes, int], bytes]


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Makes thumbnails when they are asked for; nothing is kept."""

    units: UnitOfWorkFactory
    store: ImageStore
    shrink: Shrink

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
            key = work.images.get(image_id).store_key
        return self.shrink(self.store.read(key), side_px)
