"""Reads photos for a model: plain files in this process and quickly, odd ones in a process with limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from damageloop.adapters.photos.careful import CarefulDecoders, shared_decoders
from damageloop.adapters.photos.decoding import ImageLimits, check_bytes, check_size, decode_rgb
from damageloop.adapters.photos.plain_headers import plain_header
from damageloop.adapters.photos.plain_jpeg import decode_plain_jpeg
from damageloop.adapters.photos.quality import SHARPNESS_SIDE_PX, measure_quality
from damageloop.domain.image import ImageQuality
from damageloop.ports import Photo, RgbImage


def read_photo(content: bytes, limits: ImageLimits, side_px: int, careful: CarefulDecoders) -> Photo:
    """Return the upright photo, maybe reduced, its longer side not below `side_px` nor what quality is measured at.

    Raises:
        InvalidImageError: With a code and a sentence, when the bytes are no usable photo.
        UnavailableError: If the file is odd and no process could be had to decode it.
    """
    check_bytes(content, limits)
    needed_px = max(side_px, SHARPNESS_SIDE_PX)
    header = plain_header(content)
    if header is None:
        return Photo(*careful.photo(content, limits, needed_px))
    check_size(header.size_wh, len(content), limits)
    if header.image_format == "JPEG":
        pixels = decode_plain_jpeg(content, header, needed_px)
        return Photo(*careful.photo(content, limits, needed_px)) if pixels is None else Photo(pixels, header.size_wh)
    pixels = decode_rgb(content, limits)
    return Photo(pixels, (pixels.shape[1], pixels.shape[0]))


@dataclass(frozen=True, slots=True)
class LimitedImageReader:
    """`ImageReader` that refuses what is beyond the limits."""

    limits: ImageLimits
    careful: CarefulDecoders = field(default_factory=shared_decoders)

    def read(self, content: bytes, side_px: int) -> Photo:
        """Return the upright photo. Raises InvalidImageError, UnavailableError."""
        return read_photo(content, self.limits, side_px, self.careful)

    def quality(self, image: RgbImage) -> ImageQuality:
        """Return brightness, contrast and sharpness."""
        return measure_quality(image)
