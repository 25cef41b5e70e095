"""Distances and likeness of embeddings, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning import distances
from active_learning.distances import low_percentile, nearest, squared_distances, squared_lengths
from active_learning.kernels import ALIKE, gaussian, kernel_radius, likeness_to_nearest

NONE = np.zeros((0, 2), dtype=np.float32)


def vectors(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def on_circle(*degrees: float) -> np.ndarray:
    return vectors(*[(float(np.cos(np.radians(d))), float(np.sin(np.radians(d)))) for d in degrees])


def test_squared_distances_by_hand() -> None:
    found = squared_distances(vectors((1, 0), (0, 1)), vectors((1, 0), (-1, 0), (0, 0)))
    assert found.tolist() == [[0.0, 4.0, 1.0], [2.0, 2.0, 1.0]]
    assert found.dtype == np.float32
    assert squared_lengths(vectors((3, 4), (0, 0))).tolist() == [25.0, 0.0]


def test_rounding_is_no_distance() -> None:
    found = squared_distances(vectors((1, 0)), vectors((1, 0.0009), (1, 0.0011)))[0]
    assert found[0] == 0.0
    assert found[1] == pytest.approx(1.21e-6, rel=0.2)


def test_the_nearest_is_the_first_of_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_BLOCK_ENTRIES", 3)
    found, squared = nearest(vectors((1, 0), (0, 1), (-1, 0)), vectors((0, 1), (1, 0), (1, 0)))
    assert found.tolist() == [1, 0, 0]
    assert squared.tolist() == [0.0, 0.0, 2.0]


def test_without_others_nothing_is_near() -> None:
    found, squared = nearest(vectors((1, 0)), NONE)
    assert found.tolist() == [-1]
    assert squared.tolist() == [np.inf]
    assert nearest(NONE, vectors((1, 0)))[0].shape == (0,)
    assert squared_distances(NONE, vectors((1, 0))).shape == (0, 1)


@pytest.mark.parametrize(("percent", "distance"), [(0, 1.0), (50, 1.5), (100, 2.0)])
def test_percentile_of_distances_above_zero(percent: float, distance: float) -> None:
    assert low_percentile(np.array([0.0, 1.0, 4.0], dtype=np.float32), percent) == pytest.approx(distance)


def test_there_is_no_distance_between_duplicates() -> None:
    assert low_percentile(np.zeros(3, dtype=np.float32), 5) == 0.0


def test_kernel_by_hand() -> None:
    values = gaussian(np.array([0.0, 0.25, 1.0], dtype=np.float32), 0.5)
    assert values.tolist() == pytest.approx([1.0, 0.3679, 0.0183], abs=5e-5)
    assert gaussian(values, 1.0) is values
    assert pytest.approx(0.3679, abs=5e-5) == ALIKE
    assert gaussian(np.array([0.0, 0.1], dtype=np.float32), 0.0).tolist() == [1.0, 0.0]


def test_the_radius_is_a_low_percentile_of_distances_between_points() -> None:
    # Distances 1 (60 degrees), 1.4142 (90) and 0.5176 (30); 5 percent lie a tenth of the way from the first
    # to the second.
    assert kernel_radius(on_circle(0, 60, 90), NONE) == pytest.approx(0.5176 + 0.1 * (1.0 - 0.5176), abs=1e-4)


def test_a_repeated_point_does_not_change_the_radius() -> None:
    alone = kernel_radius(on_circle(0, 60, 90), NONE)
    assert kernel_radius(on_circle(0, 0, 60, 60, 90, 0), NONE) == pytest.approx(alone)


def test_the_radius_of_images_that_are_all_the_same_is_zero() -> None:
    assert kernel_radius(on_circle(10, 10, 10), NONE) == 0.0
    assert kernel_radius(on_circle(10), NONE) == 0.0
    assert kernel_radius(NONE, NONE) == 0.0


def test_near_duplicates_do_not_change_the_radius_and_others_do() -> None:
    alone = kernel_radius(on_circle(0, 60, 90), NONE)
    assert kernel_radius(on_circle(0, 18, 60, 90, 107), NONE) == pytest.approx(alone)
    # Of six distances the lowest two are 0.3301 (19 degrees) and 0.5176 (30); a quarter of the way lies 5 percent.
    assert kernel_radius(on_circle(0, 19, 60, 90), NONE) == pytest.approx(0.3301 + 0.25 * 0.1875, abs=2e-4)


def test_only_what_is_kept_makes_others_near_duplicates() -> None:
    # 17 degrees from one to the next: the second is left out, so the third is kept.
    assert kernel_radius(on_circle(0, 17, 34), NONE) == pytest.approx(2 * np.sin(np.radians(17)), abs=1e-4)


def test_ten_labeled_images_set_the_radius_and_nine_do_not() -> None:
    points, labeled = on_circle(0, 180), on_circle(*range(0, 360, 36))
    assert kernel_radius(points, labeled[:9]) == pytest.approx(2.0)
    # Of 45 distances ten span 36 degrees.
    assert kernel_radius(points, labeled) == pytest.approx(2 * np.sin(np.radians(18)), abs=1e-4)


def test_labeled_images_that_are_all_the_same_do_not_set_the_radius() -> None:
    assert kernel_radius(on_circle(0, 180), on_circle(*[5] * 12)) == pytest.approx(2.0)


def test_likeness_to_the_nearest() -> None:
    found = likeness_to_nearest(on_circle(0, 90), on_circle(60, 180), 1.0)
    assert found.tolist() == pytest.approx([np.exp(-1.0), np.exp(-(0.5176**2))], abs=1e-3)
    alone = likeness_to_nearest(on_circle(0, 90), NONE, 1.0)
    assert alone.tolist() == [0.0, 0.0]
    assert alone.dtype == found.dtype == np.float32
