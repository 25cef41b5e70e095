"""Bins, calibration error and separation on numbers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.proportion import proportion, wilson
from damageloop.domain.reliability import equal_mass_bins, n_bins, reliability
from damageloop.domain.resampling import group_weights
from damageloop.errors import InvalidInputError


def test_wilsons_interval_is_the_one_computed_by_hand() -> None:
    assert wilson(0.5, 10) == (pytest.approx(0.2693, abs=1e-4), pytest.approx(0.7307, abs=1e-4))
    assert wilson(0.0, 10) == (0.0, pytest.approx(2.7055 / 12.7055, abs=1e-4))


def test_photos_of_one_car_count_as_one() -> None:
    hits = np.array([1.0] * 10 + [0.0] * 10)
    alone = [str(index) for index in range(20)]
    shared = ["a"] * 10 + ["b"] * 10

    def width(groups: list[str]) -> float:
        found = proportion(hits, np.ones(20), groups, group_weights(groups, 1000, 0))
        assert found.value == 0.5
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(shared) > 2.0 * width(alone)
    few = proportion(np.zeros(20), np.ones(20), shared, group_weights(shared, 1000, 0))
    assert (few.low, few.high, few.n_groups) == (0.0, pytest.approx(2.7055 / 4.7055, abs=1e-4), 2)


def test_a_share_of_nothing_is_not_known() -> None:
    found = proportion(np.zeros(3), np.zeros(3), ["a", "b", "c"], group_weights(["a", "b", "c"], 10, 0))
    assert found.as_json() == {"value": None, "low": None, "high": None, "count": 0, "groups": 0}


def test_equal_predictions_share_a_bin() -> None:
    assert equal_mass_bins(np.array([0.1, 0.2, 0.2, 0.9]), 2).tolist() == [0, 0, 0, 1]
    assert equal_mass_bins(np.array([0.9, 0.1, 0.4, 0.3]), 2).tolist() == [1, 0, 1, 0]
    assert equal_mass_bins(np.full(5, 0.3), 3).tolist() == [0] * 5


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]), min_size=1, max_size=40), st.integers(1, 10))
def test_bins_rise_with_the_prediction_and_none_is_empty(values: list[float], n: int) -> None:
    bins = equal_mass_bins(np.array(values), n)
    assert set(bins.tolist()) == set(range(bins.max() + 1))
    assert bins.max() < n
    order = np.argsort(values)
    assert (np.diff(bins[order]) >= 0).all()


def test_few_images_fill_few_bins() -> None:
    assert [n_bins(n) for n in (1, 29, 30, 149, 150, 10_000)] == [1, 1, 2, 9, 10, 10]


def test_the_figures_of_forty_photos_are_those_counted_by_hand() -> None:
    # Two bins of 20: 0.2 is said of 20 of which 8 are damaged, 0.9 of 20 of which 18 are.
    predicted = [0.2] * 20 + [0.9] * 20
    damaged = [True] * 8 + [False] * 12 + [True] * 18 + [False] * 2
    found = reliability(predicted, damaged, [str(index) for index in range(40)])
    assert [(part.predicted, part.observed.value) for part in found.bins] == [
        (pytest.approx(0.2), 0.4),
        (pytest.approx(0.9), 0.9),
    ]
    # (20 x 0.2 + 20 x 0) / 40, (8 x 0.64 + 12 x 0.04 + 18 x 0.01 + 2 x 0.81) / 40.
    assert found.calibration_error.value == pytest.approx(0.1)
    assert found.brier.value == pytest.approx(7.4 / 40)
    # Of 26 x 14 pairs 18 x 12 are right, and 8 x 12 + 18 x 2 are ties.
    assert found.separation.value == pytest.approx((18 * 12 + 0.5 * (8 * 12 + 18 * 2)) / (26 * 14))
    for score in (found.calibration_error, found.brier, found.separation):
        assert score.low is not None
        assert score.high is not None
        assert score.value is not None
        assert score.low <= score.value <= score.high


def test_the_order_of_photos_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.uniform(size=60).round(1)
    damaged, groups = rng.uniform(size=60) < predicted, rng.integers(0, 20, size=60).astype(str)
    turned = rng.permutation(60)
    one = reliability(list(predicted), list(damaged), list(groups))
    two = reliability(list(predicted[turned]), list(damaged[turned]), list(groups[turned]))
    assert one.calibration_error.as_json() == two.calibration_error.as_json()
    assert one.separation.as_json() == two.separation.as_json()
    assert [part.predicted for part in one.bins] == pytest.approx([part.predicted for part in two.bins])
    assert [part.observed.as_json() for part in one.bins] == [part.observed.as_json() for part in two.bins]


def test_one_kind_alone_has_no_separation_and_no_image_no_reliability() -> None:
    assert reliability([0.1, 0.2], [True, True], ["a", "b"]).separation.value is None
    for predicted, groups in (([], []), ([0.5], ["a", "b"])):
        with pytest.raises(InvalidInputError):
            reliability(predicted, [True] * len(predicted), groups)
