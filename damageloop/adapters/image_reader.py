"""Reads photos that are judged once and not stored."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.adapters.image_decoding import ImageLimits, decode_rgb
from damageloop.adapters.image_quality import measure_quality
from damageloop.domain.image import ImageQuality
from damageloop.ports import RgbImage


@dataclass(frozen=True, slots=True)
class LimitedImageReader:
    """`ImageReader` that refuses what is beyond the limits."""

    limits: ImageLimits

    def decode(self, content: bytes) -> RgbImage:
        """Return the upright pixels. Raises InvalidImageError."""
        return decode_rgb(content, self.limits)

    def quality(self, image: RgbImage) -> ImageQuality:
        """Return brightness, contrast and sharpness."""
        return measure_quality(image)
