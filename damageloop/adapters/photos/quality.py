"""Numbers read off decoded pixels: brightness, contrast, sharpness, noise and a perceptual hash. Decides nothing."""

from __future__ import annotations

from typing import Any

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
# Between two steps of averaging a level of luma counts so much: fifths of it are whole, and 255 of it fit 16 bits.
_FINE = 250


def measure_quality(rgb: RgbImage) -> ImageQuality:
    """Return brightness, contrast, sharpness and noise of an upright RGB image; see `ImageQuality` for the units."""
    luma = _luma(rgb)
    brightness, contrast = _mean_and_deviation(luma)
    # The Laplacian of eight bits is a whole number within ±1020.
    common = _for_sharpness(luma)
    _, edges = _mean_and_deviation(cv2.Laplacian(common, cv2.CV_16S))
    return ImageQuality(brightness=brightness, contrast=contrast, sharpness=edges**2, noise=_noise(common))


def perceptual_hash(rgb: RgbImage) -> str:
    """Return the 64-bit pHash as 16 hexadecimal digits: near-duplicates differ in few bits."""
    return str(imagehash.phash(Image.fromarray(_at_common_size(_luma(rgb)))))


def _noise(luma: Luma) -> float:
    """Return the deviation of the noise by the mean size of a mask that knows neither edges nor slopes.

    Cites immerkaer1996fast: the mask is [1, -2, 1] down times [1, -2, 1] across, which noise of deviation 1 passes with
    a deviation of 6, and sqrt(pi / 2) turns a mean size into a deviation.
    """
    mask = np.array([1.0, -2.0, 1.0])
    found = cv2.sepFilter2D(luma, cv2.CV_16S, mask, mask)
    return float(cv2.norm(found, cv2.NORM_L1) / found.size * np.sqrt(np.pi / 2.0) / 6.0)


def _luma(rgb: RgbImage) -> Luma:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _mean_and_deviation(values: NDArray[np.integer[Any]]) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(values)
    return float(mean[0, 0]), float(deviation[0, 0])


def _for_sharpness(luma: Luma) -> Luma:
    """Return the image at the common size, maybe transposed, which changes nothing for a symmetric filter."""
    if max(luma.shape) * 4 != SHARPNESS_SIDE_PX * 5 or any(side % 5 for side in luma.shape):
        return _at_common_size(luma)
    # From 640 px, a frequent size: the same averages in a third of the time.
    narrow = _four_fifths(luma, _FINE, np.uint16)
    return _four_fifths(np.ascontiguousarray(narrow.T), 1 / _FINE, np.uint8)


def _four_fifths(values: NDArray[Any], scale: float, kind: type[np.integer[Any]]) -> NDArray[Any]:
    """Average every five rows to four, as areas overlap: 4/5 of row 0 with 1/5 of row 1, 3/5 of 1 with 2/5 of 2, ..."""
    fives = values.reshape(-1, 5, values.shape[1])
    fours = np.empty((len(fives), 4, values.shape[1]), dtype=kind)
    depth = {np.uint8: cv2.CV_8U, np.uint16: cv2.CV_16U}[kind]
    for row in range(4):
        shares = (4 - row) / 5 * scale, (row + 1) / 5 * scale
        fours[:, row] = cv2.addWeighted(fives[:, row], shares[0], fives[:, row + 1], shares[1], 0.0, dtype=depth)
    return fours.reshape(-1, values.shape[1])


def _at_common_size(luma: Luma) -> Luma:
    height, width = luma.shape
    scale = SHARPNESS_SIDE_PX / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Averaging keeps fine texture from turning into false edges when an image shrinks.
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, size_wh, interpolation=method), dtype=np.uint8)
