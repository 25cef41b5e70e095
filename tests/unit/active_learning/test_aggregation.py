"""From boxes to images, checked against a loop and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from active_learning.aggregation import is_among_top, max_of_boxes, mean_of_boxes, sum_of_top
from active_learning.protocol import Candidates
from tests.unit.active_learning.pools import POOLS, QUICK

VALUES = np.array([0.25, 1.0, 0.5, 0.125])
OFFSETS = np.array([0, 3, 3, 4])
WITHOUT_BOXES = np.array([7.0, 8.0, 9.0])


def test_aggregates_of_hand_made_boxes() -> None:
    assert sum_of_top(VALUES, OFFSETS, WITHOUT_BOXES, k=2).tolist() == [1.5, 8.0, 0.125]
    assert mean_of_boxes(VALUES, OFFSETS, WITHOUT_BOXES).tolist() == pytest.approx([1.75 / 3, 8.0, 0.125])
    assert max_of_boxes(VALUES, OFFSETS, WITHOUT_BOXES).tolist() == [1.0, 8.0, 0.125]


def test_no_images_give_no_scores() -> None:
    nothing = np.zeros(0)
    for aggregate in (sum_of_top, mean_of_boxes, max_of_boxes):
        assert aggregate(nothing, np.array([0]), nothing).shape == (0,)


@QUICK
@given(POOLS)
def test_sum_of_top_agrees_with_a_loop(pool: Candidates) -> None:
    found = sum_of_top(pool.box_scores, pool.offsets, np.zeros(len(pool)))
    bounds = zip(pool.offsets[:-1], pool.offsets[1:], strict=True)
    expected = [sum(sorted(pool.box_scores[start:end])[-5:]) for start, end in bounds]
    assert found == pytest.approx(expected)


def test_exactly_k_boxes_count_even_when_values_tie() -> None:
    assert is_among_top(np.ones(9), np.array([0, 7, 9]), k=5).sum() == 7
