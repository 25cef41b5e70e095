"""Reads photos that are judged once and not stored."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.adapters.photos.decoding import ImageLimits, decode_rgb
from damageloop.adapters.photos.quality import measure_quality
from damageloop.domain.image import ImageQuality
from damageloop.ports import Photo, RgbImage


@dataclass(frozen=True, slots=True)
class LimitedImageReader:
    """`ImageReader` that refuses what is beyond the limits."""

    limits: ImageLimits

    def read(self, content: bytes, side_px: int) -> Photo:
        """Return the upright photo. Raises InvalidImageError."""
        pixels = decode_rgb(content, self.limits)
        return Photo(pixels, (pixels.shape[1], pixels.shape[0]))

    def quality(self, image: RgbImage) -> ImageQuality:
        """Return brightness, contrast and sharpness."""
        return measure_quality(image)
