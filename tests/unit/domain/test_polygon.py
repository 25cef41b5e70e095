"""Points within outlines."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.domain.polygon import points_inside
from damageloop.errors import InvalidInputError

SQUARE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def test_a_square_holds_its_middle_and_not_its_neighbourhood() -> None:
    points = np.array([[0.5, 0.5], [1.5, 0.5], [-0.1, 0.5], [0.5, 1.1]])
    assert points_inside(points, SQUARE).tolist() == [True, False, False, False]


def test_the_direction_and_the_first_corner_change_nothing() -> None:
    points = np.random.default_rng(1).uniform(-1, 2, (200, 2))
    expected = points_inside(points, SQUARE)
    assert 10 < expected.sum() < 60
    assert (points_inside(points, SQUARE[::-1]) == expected).all()
    assert (points_inside(points, [*SQUARE[2:], *SQUARE[:2]]) == expected).all()
    assert (expected == ((points > 0) & (points < 1)).all(axis=1)).all()


def test_a_bay_is_outside() -> None:
    letter_c = [(0.0, 0.0), (3.0, 0.0), (3.0, 1.0), (1.0, 1.0), (1.0, 2.0), (3.0, 2.0), (3.0, 3.0), (0.0, 3.0)]
    assert points_inside(np.array([[2.0, 1.5], [0.5, 1.5], [2.0, 0.5]]), letter_c).tolist() == [False, True, True]


def test_two_corners_are_no_outline_and_no_points_are_fine() -> None:
    assert points_inside(np.empty((0, 2)), SQUARE).shape == (0,)
    with pytest.raises(InvalidInputError):
        points_inside(np.zeros((1, 2)), SQUARE[:2])
