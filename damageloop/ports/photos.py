"""What a photo is once it is decoded, and who decodes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.image import ImageQuality

RgbImage = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: Upright, shape (height, width, 3), uint8 RGB; a reduced copy where the photo is much larger than needed.
        size_wh: Size of the upright photo itself, in whose pixels boxes are told.
    """

    pixels: RgbImage
    size_wh: tuple[int, int]


class ImageReader(Protocol):
    """Turns untrusted bytes into pixels that are judged once and not kept. Safe to call from threads."""

    def read(self, content: bytes, side_px: int) -> Photo:
        """Return the photo, reduced no further than to `side_px` on its longer side. Raises InvalidImageError."""

    def quality(self, image: RgbImage) -> ImageQuality:
        """Return brightness, contrast and sharpness."""
