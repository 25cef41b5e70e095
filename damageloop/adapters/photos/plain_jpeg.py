"""Decodes plain JPEGs in this process, at a fraction of their size where that is enough. libjpeg-turbo and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg

from damageloop.adapters.photos.decoding import damaged
from damageloop.adapters.photos.plain_headers import PlainHeader
from damageloop.ports import RgbImage

# A factor between costs more than the next smaller one: libjpeg-turbo has fast transforms for these alone.
_FACTORS = (8, 4, 2)


def decode_plain_jpeg(content: bytes, header: PlainHeader, side_px: int) -> RgbImage | None:
    """Return the upright pixels, shape (height, width, 3), the longer side `side_px` or more where the photo has that.

    None when the data are odd after all; then it is for the careful decoder to say what they are.

    Raises:
        InvalidImageError: `truncated`, when the data end early.
    """
    width, height = header.stored_wh
    factor = reduction(max(width, height), side_px)
    shape = -(-height // factor), -(-width // factor)
    try:
        pixels = simplejpeg.decode_jpeg(content, "RGB", min_height=shape[0], min_width=shape[1], strict=True)
    except ValueError as exc:
        if "Premature end" in str(exc):
            raise damaged() from exc
        return None
    return _upright(pixels, header.orientation) if pixels.shape[:2] == shape else None


def reduction(longer_px: int, side_px: int) -> int:
    """Return by how much a photo may be reduced, 1, 2, 4 or 8, so that its longer side keeps `side_px`."""
    return next((factor for factor in _FACTORS if longer_px >= factor * side_px), 1)


def _upright(pixels: RgbImage, orientation: int) -> RgbImage:
    """Undo the eight ways to hold a camera."""
    if orientation in (5, 6, 7, 8):
        pixels = np.asarray(cv2.transpose(pixels), dtype=np.uint8)
    # Left to right, upside down, or both.
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else np.asarray(cv2.flip(pixels, flip), dtype=np.uint8)
