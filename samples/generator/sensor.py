"""The phone's camera: exposure, white balance, blur and noise. Same settings, same noise, damaged or not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from samples.generator.arrays import Bytes, Field, as_field, white_noise


@dataclass(frozen=True)
class Sensor:
    """Settings of one photo; `noise` is the standard deviation of display-coded values of 0 to 1."""

    gain: float
    balance_bgr: tuple[float, float, float]
    blur_px: float
    noise: float
    noise_seed: int
    jpeg_quality: int

    def develop(self, linear: Field) -> Field:
        """Return display-coded values, 0 to 1, without blur and noise."""
        exposed = linear * (as_field(self.balance_bgr) * np.float32(self.gain))
        return as_field(np.sqrt(np.clip(exposed, 0, 1, out=exposed), out=exposed))

    def expose(self, linear: Field) -> Bytes:
        """Return the photo as 8-bit BGR."""
        height, width = linear.shape[:2]
        coded = as_field(cv2.GaussianBlur(self.develop(linear), (0, 0), self.blur_px))
        rng = np.random.default_rng(self.noise_seed)
        size_wh = (width, height)
        coded += (white_noise(rng, size_wh) * np.float32(self.noise))[..., None]
        half = (width // 2, height // 2)
        chroma = np.stack([white_noise(rng, half) for _ in range(3)], axis=-1) * np.float32(0.6 * self.noise)
        coded += as_field(cv2.resize(chroma, size_wh))
        return np.asarray(np.clip(coded * np.float32(255) + np.float32(0.5), 0, 255), dtype=np.uint8)


def sample_sensor(rng: np.random.Generator, clean: Field, exposure: float, *, is_dim: bool) -> Sensor:
    """Choose the camera's settings for the undamaged scene `clean` (linear light)."""
    mean = float(clean[::4, ::4].mean())
    width = clean.shape[1]
    # A phone meters towards middle grey, but not all the way: black cars stay dark, white ones bright.
    gain = exposure * (0.24 / (mean + 0.02)) ** 0.62
    blue, red = (rng.uniform(0.9, 1.12) for _ in range(2))
    return Sensor(
        gain=gain,
        balance_bgr=(float(blue), 1.0, float(red)),
        blur_px=float(rng.uniform(0.45, 1.0)) * max(width / 640, 0.4),
        noise=float(rng.uniform(0.018, 0.045) if is_dim else rng.uniform(0.004, 0.018)),
        noise_seed=int(rng.integers(2**31)),
        jpeg_quality=int(rng.integers(72, 96)),
    )
