"""Which light train images get, by hand-computed numbers."""

from __future__ import annotations

import pytest

from damageloop.domain.drift.augmentation import fitting
from damageloop.domain.drift.columns import ColumnKind, Comparison
from damageloop.training_params import PhotometricParams


def moved(column: str, before: float, after: float) -> Comparison:
    return Comparison(column, ColumnKind.NUMERIC, 1.0, 0.0, {"mean": before}, {"mean": after})


def test_half_the_luma_is_two_stops_and_a_fifth() -> None:
    found = fitting([moved("brightness", 120.0, 60.0)])
    assert found is not None
    # 2.2 stops for the mean, half as much again for what is darker than it.
    assert found["stops"] == [pytest.approx(-3.3), 0.0]
    assert found["noise"] == 0.02
    assert found["blur_px"] == 0.0
    PhotometricParams.model_validate(found)


def test_brighter_photos_get_more_light_and_no_noise() -> None:
    found = fitting([moved("brightness", 100.0, 150.0)])
    assert found is not None
    assert found["stops"][0] == 0.0
    assert found["stops"][1] > 1.0
    assert found["noise"] == 0.0


def test_noise_is_that_of_the_new_photos_and_half_as_much_again() -> None:
    found = fitting([moved("noise", 2.0, 10.2)])
    assert found is not None
    assert found["noise"] == pytest.approx(0.06)
    assert found["stops"] == [0.0, 0.0]


def test_sharpness_that_fell_alone_is_blur_and_that_fell_with_the_light_is_not() -> None:
    alone = fitting([moved("sharpness", 400.0, 100.0)])
    assert alone is not None
    assert alone["blur_px"] == pytest.approx(1.5)
    # A quarter of the variance is what half of the luma leaves.
    dark = fitting([moved("brightness", 120.0, 60.0), moved("sharpness", 400.0, 100.0)])
    assert dark is not None
    assert dark["blur_px"] == 0.0


@pytest.mark.parametrize(
    "drifted",
    [[], [moved("boxes: dent", 0.2, 0.9)], [moved("brightness", 120.0, 118.0)], [moved("sharpness", 100.0, 400.0)]],
)
def test_what_light_does_not_explain_has_no_augmentation(drifted: list[Comparison]) -> None:
    assert fitting(drifted) is None


def test_what_is_found_is_always_within_the_parameters_limits() -> None:
    extreme = [moved("brightness", 250.0, 0.001), moved("noise", 0.0, 255.0), moved("sharpness", 1e6, 1e-6)]
    found = fitting(extreme)
    assert found is not None
    PhotometricParams.model_validate(found)
