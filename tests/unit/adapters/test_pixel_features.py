"""Color and texture in 96 numbers, on images whose numbers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from damageloop.adapters.photos.pixel_features import N_FEATURES, pixel_features

COLOR, SPREAD, EDGES, FINE = slice(0, 27), slice(27, 54), slice(54, 86), slice(86, 95)


def uniform(*rgb: int, size_wh: tuple[int, int] = (192, 192)) -> NDArray[np.uint8]:
    return np.full((size_wh[1], size_wh[0], 3), rgb, dtype=np.uint8)


def test_a_red_image_is_the_lab_of_red_in_every_cell_and_has_no_texture() -> None:
    features = pixel_features(uniform(255, 0, 0))
    assert features.shape == (N_FEATURES,)
    assert features.dtype == np.float32
    # The published Lab of sRGB red under D65 is (53.24, 80.09, 67.20).
    assert features[COLOR].reshape(9, 3) == pytest.approx(np.tile([0.532, 0.801, 0.672], (9, 1)), abs=0.002)
    assert features[27:] == pytest.approx(np.zeros(69), abs=1e-5)


def test_vertical_stripes_are_gradients_along_x_alone() -> None:
    image = uniform(0, 0, 0)
    # Stripes of 16 pixels, 8 in the thumbnail of half the size.
    image[:, np.arange(192) // 16 % 2 == 1] = 255
    edges = pixel_features(image)[EDGES].reshape(4, 8)
    assert (edges[:, 1:] == 0).all()
    # Every border between stripes of 8 has two columns of strength 1. A cell of 48 columns has five borders inside
    # and half of a sixth: 11 columns of 48.
    assert edges[:, 0] == pytest.approx(np.full(4, np.sqrt(11 / 48)), abs=1e-4)
    turned = pixel_features(np.ascontiguousarray(image.transpose(1, 0, 2)))[EDGES].reshape(4, 8)
    assert turned[:, 4] == pytest.approx(edges[:, 0])
    assert (np.delete(turned, 4, axis=1) == 0).all()


def test_a_bright_corner_is_told_in_its_own_cell() -> None:
    image = uniform(0, 0, 0)
    image[128:, 128:] = 255
    lightness = pixel_features(image)[COLOR].reshape(9, 3)[:, 0]
    assert lightness == pytest.approx([0, 0, 0, 0, 0, 0, 0, 0, 1.0], abs=1e-4)


def test_noise_is_fine_texture_and_a_half_size_copy_is_nearly_the_same() -> None:
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)
    assert (pixel_features(noisy)[FINE] > 0.3).all()
    coarse = np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    assert pixel_features(coarse[::2, ::2]) == pytest.approx(pixel_features(coarse), abs=0.02)


def test_the_shape_of_the_image_is_the_last_number() -> None:
    assert pixel_features(uniform(9, 9, 9, size_wh=(200, 100)))[-1] == pytest.approx(np.log(2.0))
    assert pixel_features(uniform(9, 9, 9, size_wh=(40, 400)))[-1] == -1.0


def test_the_same_bytes_give_the_same_numbers() -> None:
    image = np.random.default_rng(1).integers(0, 255, (61, 83, 3), dtype=np.uint8)
    assert (pixel_features(image) == pixel_features(image.copy())).all()
