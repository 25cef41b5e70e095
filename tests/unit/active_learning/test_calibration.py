"""The reliability histogram: hand-computed bins, its prior, and that it never falls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning.calibration import calibrated, fit_histogram
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import QUICK


def test_without_boxes_a_score_is_taken_at_its_word() -> None:
    assert fit_histogram(np.zeros(0), np.zeros(0, dtype=bool)).tolist() == pytest.approx(
        [(2 * i + 1) / 30 for i in range(15)]
    )


def test_each_bin_starts_with_two_boxes_of_the_prior() -> None:
    histogram = fit_histogram(np.array([0.2, 0.9]), np.array([False, True]), n_bins=2)
    assert histogram.tolist() == pytest.approx([0.5 / 3, 2.5 / 3])
    assert fit_histogram(np.array([0.2]), np.array([True]), n_bins=1).tolist() == pytest.approx([2 / 3])


def test_falling_bins_are_pooled_by_their_boxes() -> None:
    # Bin 0: 4 of 4 right and the prior (4 + 0.5) / 6; bin 1: 0 of 1 and the prior 1.5 / 3. Pooled: 6 / 9.
    scores, right = np.array([0.1, 0.2, 0.3, 0.4, 0.8]), np.array([True, True, True, True, False])
    assert fit_histogram(scores, right, n_bins=2).tolist() == pytest.approx([6 / 9, 6 / 9])


@QUICK
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30))
def test_a_higher_score_is_never_less_likely_right(boxes: list[tuple[float, bool]]) -> None:
    scores, right = np.array([b[0] for b in boxes]), np.array([b[1] for b in boxes], dtype=bool)
    histogram = fit_histogram(scores, right)
    assert (np.diff(histogram) >= 0).all()
    assert 0 < histogram[0] <= histogram[-1] < 1


def test_the_order_of_boxes_changes_nothing() -> None:
    scores, right = np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, True, False, True])
    assert fit_histogram(scores, right).tolist() == fit_histogram(scores[::-1], right[::-1]).tolist()


@pytest.mark.parametrize(("score", "probability"), [(0.0, 0.1), (0.49, 0.1), (0.5, 0.6), (1.0, 0.6)])
def test_a_bin_holds_its_lower_edge_and_one_is_in_the_last(score: float, probability: float) -> None:
    assert calibrated(np.array([score]), np.array([0.1, 0.6])).tolist() == [probability]


@pytest.mark.parametrize(
    ("scores", "right", "n_bins"),
    [([np.nan], [True], 15), ([1.1], [True], 15), ([0.5], [True, False], 15), ([0.5], [True], 0)],
)
def test_bad_input_is_refused(scores: list[float], right: list[bool], n_bins: int) -> None:
    with pytest.raises(InvalidInputError):
        fit_histogram(np.array(scores), np.array(right), n_bins)


@pytest.mark.parametrize(("scores", "histogram"), [([0.5], []), ([np.nan], [0.5]), ([0.5], [np.nan]), ([0.5], [1.5])])
def test_no_score_is_repaired(scores: list[float], histogram: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        calibrated(np.array(scores), np.array(histogram))
