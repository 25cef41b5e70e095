"""Numbers read off decoded pixels: brightness, contrast, sharpness and a perceptual hash. Decides nothing."""

from __future__ import annotations

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from damageloop.domain.image import ImageQuality
from damageloop.ports import RgbImage

Luma = NDArray[np.uint8]

# Sharpness depends on the scale it is measured at, so every image is brought to one.
SHARPNESS_SIDE_PX = 512


def measure_quality(rgb: RgbImage) -> ImageQuality:
    """Return brightness, contrast and sharpness of an upright RGB image; see `ImageQuality` for the units."""
    luma = _luma(rgb)
    edges = cv2.Laplacian(_at_common_size(luma), cv2.CV_64F)
    return ImageQuality(brightness=float(luma.mean()), contrast=float(luma.std()), sharpness=float(edges.var()))


def perceptual_hash(rgb: RgbImage) -> str:
    """Return the 64-bit pHash as 16 hexadecimal digits: near-duplicates differ in few bits."""
    return str(imagehash.phash(Image.fromarray(_at_common_size(_luma(rgb)))))


def _luma(rgb: RgbImage) -> Luma:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _at_common_size(luma: Luma) -> Luma:
    height, width = luma.shape
    scale = SHARPNESS_SIDE_PX / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Averaging keeps fine texture from turning into false edges when an image shrinks.
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, size_wh, interpolation=method), dtype=np.uint8)
