"""Quality is measured the quick way where there is one, and comes to the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from damageloop.adapters.photos.quality import measure_quality


@pytest.mark.parametrize("shape", [(640, 640), (640, 480), (480, 640), (355, 640), (641, 640), (300, 400), (900, 1200)])
def test_sharpness_is_the_variance_of_the_laplacian_at_512_px(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (*shape, 3), dtype=np.uint8), (0, 0), 1.0)
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = 512 / max(shape)
    size_wh = round(shape[1] * scale), round(shape[0] * scale)
    small = cv2.resize(luma, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    quality = measure_quality(rgb)
    assert quality.sharpness == pytest.approx(cv2.Laplacian(small, cv2.CV_64F).var(), rel=1e-3)
    assert quality.brightness == pytest.approx(luma.mean())
    assert quality.contrast == pytest.approx(luma.std())


@pytest.mark.parametrize("deviation", [2.0, 5.0, 10.0])
def test_noise_is_its_deviation_whatever_slopes_the_photo_has(deviation: float) -> None:
    rng = np.random.default_rng(1)
    slope = np.linspace(60.0, 180.0, 512)[None, :] + np.linspace(-20.0, 20.0, 384)[:, None]
    luma = np.clip(slope + rng.normal(0.0, deviation, slope.shape), 0, 255).astype(np.uint8)
    quality = measure_quality(np.repeat(luma[:, :, None], 3, axis=2))
    assert quality.noise == pytest.approx(deviation, rel=0.05)


def test_an_even_photo_has_no_noise() -> None:
    assert measure_quality(np.full((384, 512, 3), 90, dtype=np.uint8)).noise == 0.0
