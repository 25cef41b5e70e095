"""Which points a drawn outline holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError


def points_inside(points_xy: NDArray[np.float64], outline_xy: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Return which points lie within an outline that closes by itself: those from which a ray crosses it oddly often.

    Args:
        points_xy: Shape (n, 2).
        outline_xy: At least three corners, in either direction; an outline that crosses itself has holes.

    Returns:
        Shape (n,). Of the unit square (0.5, 0.5) is inside and (1.5, 0.5) is not.

    Raises:
        InvalidInputError: If the outline has fewer than three corners.
    """
    if len(outline_xy) < 3:
        raise InvalidInputError("An outline has three corners at least.")
    x, y = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2).T
    is_inside = np.zeros(len(x), dtype=np.bool_)
    corners = np.asarray(outline_xy, dtype=np.float64)
    for (x_a, y_a), (x_b, y_b) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y_a == y_b:
            continue
        is_crossed = ((y_a > y) != (y_b > y)) & (x < (x_b - x_a) * (y - y_a) / (y_b - y_a) + x_a)
        is_inside ^= is_crossed
    return is_inside
