"""Resamples of groups: the same figures as one at a time, and limits worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, class_table, evaluate_image
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from damageloop.domain.resampling import (
    group_weights,
    interval,
    lower_limit,
    resampled_average_precision,
    resampled_ratio,
)


def records(seed: int, n: int = 12) -> list[ImageEvaluation]:
    """Up to three dents in an image, detections that are off by a little or wholly, few distinct confidences."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        places = [50.0 * i for i in range(rng.integers(0, 4))]
        truths = [LabeledBox("dent", Box(x, 0.0, x + 10.0, 10.0)) for x in places]
        shifts = [(x, float(rng.integers(0, 5))) for x in [*places, 900.0]]
        found = [Detection("dent", int(rng.integers(1, 6)) / 6, Box(x + d, 0.0, x + d + 10.0, 10.0)) for x, d in shifts]
        made.append(evaluate_image(str(number), f"car-{number // 2}", truths, found))
    return made


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_all_resamples_at_once_give_what_each_gives_alone(seed: int) -> None:
    some = records(seed)
    table = class_table(some, "dent")
    weights = group_weights([record.group for record in some], 8, seed)
    at_once = resampled_average_precision(table, weights, range(10))
    alone = np.array([[table.average_precision(column, row) for row in weights] for column in range(10)])
    np.testing.assert_allclose(at_once, alone, rtol=0, atol=1e-12)


def test_without_detections_average_precision_is_nothing_and_without_truths_it_has_no_meaning() -> None:
    empty = class_table([evaluate_image("a", "car", [LabeledBox("dent", Box(0, 0, 9, 9))], [])], "dent")
    np.testing.assert_array_equal(resampled_average_precision(empty, np.array([[1.0], [0.0]]), [0]), [[0.0, np.nan]])


def test_a_resample_draws_as_many_groups_as_there_are_and_photos_of_one_car_together() -> None:
    weights = group_weights(["b", "a", "b", "c"], 200, seed=3)
    assert weights.shape == (200, 4)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), np.full(200, 3.0))
    np.testing.assert_array_equal(weights, group_weights(["b", "a", "b", "c"], 200, seed=3))
    assert group_weights([], 5, seed=0).shape == (5, 0)


def test_a_ratio_counts_each_image_as_often_as_it_was_drawn() -> None:
    found, truths = np.array([1.0, 0.0]), np.array([2.0, 1.0])
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    np.testing.assert_allclose(resampled_ratio(found, truths, weights), [1 / 3, 1 / 2, 0.0, np.nan])


def test_a_lower_limit_is_a_percentile_of_the_resamples_that_have_a_figure() -> None:
    hundred = np.append(np.arange(101.0), np.nan)
    assert lower_limit(hundred, 0.9) == pytest.approx(10.0)
    assert lower_limit(hundred, 0.5) == pytest.approx(50.0)
    assert interval(hundred, 0.9) == pytest.approx((5.0, 95.0))
    assert np.isnan(lower_limit(np.full(3, np.nan), 0.9))
    assert interval(np.full(3, np.nan), 0.9) is None
    limits = [lower_limit(hundred, level) for level in (0.5, 0.8, 0.9, 0.99)]
    assert all(low >= lower for low, lower in pairwise(limits))
