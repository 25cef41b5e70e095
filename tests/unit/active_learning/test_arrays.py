"""Checks of arrays, at their bounds."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.arrays import (
    require_boxes,
    require_finite,
    require_offsets,
    require_positive,
    require_shape,
    require_unit,
    row_blocks,
    rows_of,
)
from damageloop.errors import InvalidInputError


def test_blocks_cover_all_rows() -> None:
    assert list(row_blocks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(row_blocks(4, 2)) == [slice(0, 2), slice(2, 4)]
    assert list(row_blocks(0, 2)) == []


def test_rows_of_images_in_another_order() -> None:
    offsets, boxes = rows_of(np.array([0, 2, 2, 3]), np.array([2, 0]))
    assert offsets.tolist() == [0, 1, 3]
    assert boxes.tolist() == [2, 0, 1]


def test_values_at_the_bounds_are_accepted() -> None:
    require_unit("share", np.array([0.0, 1.0]))
    require_unit("share", np.zeros(0))
    require_positive("seconds", np.array([1e-9]))
    require_shape("matrix", np.zeros((2, 3)), (-1, 3))
    require_offsets(np.array([0, 0, 2]), 2, 2)
    require_boxes("boxes", np.array([[0.5, 0.5, 0.5, 0.5]]), 1)


@pytest.mark.parametrize("values", [[-1e-9], [1.0 + 1e-9], [np.nan]])
def test_what_is_no_share_is_refused(values: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="share"):
        require_unit("share", np.array(values))


@pytest.mark.parametrize("values", [[0.0], [-1.0], [np.inf], [np.nan]])
def test_what_is_not_above_zero_is_refused(values: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="seconds"):
        require_positive("seconds", np.array(values))


@pytest.mark.parametrize("shape", [(2,), (2, 4), (3, 3, 1)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="matrix"):
        require_shape("matrix", np.zeros(shape), (-1, 3))


@pytest.mark.parametrize("offsets", [[0, 2], [1, 1, 2], [0, 1, 1], [0, 3, 2]])
def test_offsets_that_do_not_rise_to_the_number_of_boxes_are_refused(offsets: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="offsets"):
        require_offsets(np.array(offsets), 2, 2)


def test_a_value_that_is_not_finite_is_found_in_any_block() -> None:
    values = np.zeros((70_000, 1), dtype=np.float32)
    require_finite("embeddings", values)
    values[-1] = np.nan
    with pytest.raises(InvalidInputError, match="embeddings"):
        require_finite("embeddings", values)
