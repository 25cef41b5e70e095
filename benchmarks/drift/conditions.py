"""Photos as another camera, another light or another app would have made them. Physical where it can be.

Written apart from `workers.stages.photometric`, which trains for such light: a detector that learned one model of the
dark is measured on another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]

# A phone's sensor: electrons that a white pixel holds, and the noise of reading one.
FULL_WELL = 4000.0
READ_NOISE = 6.0


def to_light(pixels: Pixels) -> NDArray[np.float64]:
    """Return the light of a photo, 0 to 1, by the sRGB curve (IEC 61966-2-1)."""
    shown = pixels.astype(np.float64) / 255.0
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def to_pixels(light: NDArray[np.float64]) -> Pixels:
    """Return light as it is shown."""
    kept = np.clip(light, 0.0, 1.0)
    shown = np.where(kept <= 0.0031308, kept * 12.92, 1.055 * kept ** (1.0 / 2.4) - 0.055)
    return np.asarray(np.round(shown * 255.0), dtype=np.uint8)


def dark(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the photo with two and a half to three and a half stops less light, warm, as lamps in a hall give it.

    Photons arrive at random (shot noise, Poisson), reading adds its own, and white balance is off.
    """
    stops = rng.uniform(2.5, 3.5)
    balance = np.array([rng.uniform(1.05, 1.25), 1.0, rng.uniform(0.7, 0.9)])
    electrons = to_light(pixels) * balance * 2.0**-stops * FULL_WELL
    seen = rng.poisson(electrons) + rng.normal(0.0, READ_NOISE, electrons.shape)
    return to_pixels(seen / FULL_WELL)


def blurred(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the photo out of focus."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(2.0, 4.0)), dtype=np.uint8)


def compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the photo after an app has saved it with a JPEG quality of 8 to 15."""
    quality = int(rng.integers(8, 16))
    ok, content = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError("A photo could not be compressed.")
    read = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(read[..., ::-1], dtype=np.uint8)


def other_camera(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the photo of a cheaper camera: fewer pixels, corners in the shade, stronger contrast, other colors."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (width * 3 // 5, height * 3 // 5), interpolation=cv2.INTER_AREA)
    rows, columns = (np.linspace(-1.0, 1.0, n) for n in small.shape[:2])
    shade = 1.0 - 0.45 * np.minimum(1.0, (rows[:, None] ** 2 + columns[None, :] ** 2) / 2.0)
    colors = np.array([[0.85, 0.15, 0.0], [0.05, 0.9, 0.05], [0.0, 0.2, 0.8]])
    light = (to_light(np.asarray(small, dtype=np.uint8)) * shade[..., None]) @ colors.T
    # A curve that lifts what is bright and lowers what is dark.
    curved = light**1.25 * rng.uniform(1.1, 1.3)
    return to_pixels(curved)


def unchanged(pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    """Return the photo."""
    return pixels


CHANGES: Mapping[str, Change] = {
    "dark": dark,
    "blurred": blurred,
    "compressed": compressed,
    "other_camera": other_camera,
}
