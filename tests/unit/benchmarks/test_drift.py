"""The changes of light that drift is measured with, and the counting of false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift.conditions import CHANGES, blurred, compressed, dark, to_light, to_pixels, unchanged
from damageloop.adapters.photos.quality import measure_quality

PHOTO = np.random.default_rng(0).integers(60, 220, (96, 128, 3), dtype=np.uint8)


def test_light_and_pixels_are_each_other_s_reverse() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_pixels(to_light(levels)), levels)
    # Half of the light of white is shown as 188.
    assert to_pixels(np.array([0.5]))[0] == 188


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_the_same_with_the_same_seed_and_no_other_photo(name: str) -> None:
    one, other = (CHANGES[name](PHOTO, np.random.default_rng(3)) for _ in range(2))
    assert one.dtype == np.uint8
    assert np.array_equal(one, other)
    assert one.shape != PHOTO.shape or not np.array_equal(one, PHOTO)


def test_dark_photos_have_less_light_and_more_noise_for_it() -> None:
    even = np.full((384, 512, 3), 150, dtype=np.uint8)
    before, after = measure_quality(even), measure_quality(dark(even, np.random.default_rng(1)))
    # Three stops less of linear light are some 2.5 to 3.2 times less of what is shown.
    assert before.brightness / after.brightness == pytest.approx(2.8, abs=0.6)
    assert before.noise == 0.0
    assert after.noise is not None
    assert after.noise > 0.5


def test_blur_takes_sharpness_and_compression_changes_pixels_only() -> None:
    rng = np.random.default_rng(1)
    assert measure_quality(blurred(PHOTO, rng)).sharpness < measure_quality(PHOTO).sharpness / 10
    assert compressed(PHOTO, rng).shape == PHOTO.shape
    assert unchanged(PHOTO, rng) is PHOTO
