"""Boxes and the formats of others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from damageloop.domain.geometry import (
    Box,
    boxes_array,
    from_coco,
    from_percent,
    iou_matrix,
    mirrored,
    to_percent,
    to_xywhn,
)
from damageloop.errors import InvalidInputError

BOX = Box(10, 20, 30, 60)
SIZE_WH = (100, 200)


@pytest.mark.parametrize(
    "corners", [(0, 0, 0, 5), (0, 5, 5, 5), (5, 0, 4, 5), (0, 0, math.nan, 5), (0, 0, math.inf, 5)]
)
def test_a_box_without_area_or_with_a_number_that_is_not_finite_is_refused(corners: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInputError):
        Box(*corners)


def test_formats_agree_with_numbers_computed_by_hand() -> None:
    assert (BOX.width, BOX.height, BOX.area) == (20, 40, 800)
    assert to_percent(BOX, SIZE_WH) == (10, 10, 20, 20)
    assert to_xywhn(BOX, SIZE_WH) == pytest.approx((0.2, 0.2, 0.2, 0.2))
    assert from_coco((10, 20, 20, 40)) == BOX


@pytest.mark.parametrize("box", [BOX, Box(0, 0, 100, 200), Box(0.125, 33.3, 99.9, 34.4)])
def test_percent_and_back_is_the_same_box(box: Box) -> None:
    assert from_percent(to_percent(box, SIZE_WH), SIZE_WH).as_tuple() == pytest.approx(box.as_tuple())


def test_a_doubled_image_changes_no_relative_format() -> None:
    doubled = Box(*(2 * v for v in BOX.as_tuple()))
    assert to_percent(doubled, (200, 400)) == to_percent(BOX, SIZE_WH)
    assert to_xywhn(doubled, (200, 400)) == to_xywhn(BOX, SIZE_WH)


def test_inside_allows_the_tolerance_and_no_more() -> None:
    edge = Box(-0.5, 0, 100.5, 200)
    assert edge.is_inside(SIZE_WH, tolerance_px=0.5)
    assert not edge.is_inside(SIZE_WH, tolerance_px=0.4)
    assert not Box(0, 0, 100, 201).is_inside(SIZE_WH)


def test_clipping_keeps_what_is_inside_and_gives_none_for_nothing() -> None:
    assert Box(-10, 150, 50, 300).clipped(SIZE_WH) == Box(0, 150, 50, 200)
    assert Box(100, 0, 120, 10).clipped(SIZE_WH) is None


def test_no_boxes_are_an_array_of_no_rows() -> None:
    assert boxes_array([]).shape == (0, 4)
    assert iou_matrix(boxes_array([]), boxes_array([BOX])).shape == (0, 1)
    assert iou_matrix(boxes_array([BOX]), boxes_array([])).shape == (1, 0)


def test_overlaps_are_those_computed_by_hand() -> None:
    unit, half, away = Box(0, 0, 1, 1), Box(0.5, 0, 1.5, 1), Box(5, 5, 6, 6)
    found = iou_matrix(boxes_array([unit, half]), boxes_array([unit, half, away]))
    assert found == pytest.approx(np.array([[1, 1 / 3, 0], [1 / 3, 1, 0]]))


def test_a_box_mirrored_twice_is_where_it_was() -> None:
    box = Box(10, 20, 30, 60)
    assert mirrored(box, 100) == Box(70, 20, 90, 60)
    assert mirrored(mirrored(box, 100), 100) == box
