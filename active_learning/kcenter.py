"""Farthest-first choice of centres over a large pool, exact, reading most of the pool only now and then."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray
from active_learning.distances import nearest, squared_distances

# Images looked at after every choice: small enough for the processor's cache, large enough to last many choices.
_ACTIVE = 16_384
_CHOSEN = np.float32(-1.0)


def farthest_first(
    points: EmbeddingArray, labeled: EmbeddingArray, n: int, n_active: int = _ACTIVE
) -> tuple[IntArray, FloatArray]:
    """Return `n` points, each the farthest from everything labeled or chosen before, and those distances.

    A distance to the nearest centre never grows as centres are added. So only the `n_active` points that
    were farthest are kept up to date; once one of the others may be farther, all are brought up to date with
    the centres added since, in one matrix product. The choice is that of the plain rule [gonzalez1985].

    Without anything labeled the first is the point nearest to the mean of all, and its distance is 0. Of equal
    points the first is taken. Points at 0, 1 and 5 on a line with one labeled at 0 give 5, then 1, then 0, at
    distances 5, 1 and 0.

    Args:
        points: Shape (n_points, n_features).
        labeled: Shape (n_labeled, n_features).
        n: How many, at least 0; all points when there are fewer.
        n_active: How many are kept up to date, at least 1.

    Returns:
        Both of shape (min(n, n_points),).
    """
    n = min(n, len(points))
    squared = nearest(points, labeled)[1]
    chosen: list[int] = []
    reached: list[float] = []
    if n and not len(labeled):
        chosen.append(_most_central(points))
        reached.append(0.0)
    done = 0
    while len(chosen) < n:
        np.minimum(squared, nearest(points, points[chosen[done:]])[1], out=squared)
        squared[chosen] = _CHOSEN
        done = len(chosen)
        further, distances = _choose_among_farthest(points, squared, n - done, n_active)
        chosen += further
        reached += distances
    return np.array(chosen, dtype=np.int64), np.sqrt(np.array(reached, dtype=np.float64))


def _choose_among_farthest(
    points: EmbeddingArray, squared: EmbeddingArray, n: int, n_active: int
) -> tuple[list[int], list[float]]:
    """Choose up to `n` points until one that is not kept up to date might be farther; at least one."""
    active, bound = _farthest(squared, n_active)
    near, own = points[active], squared[active]
    chosen: list[int] = []
    reached: list[float] = []
    while len(chosen) < n:
        best = int(own.argmax())
        # At equality a point outside may stand before this one.
        if chosen and own[best] <= bound:
            break
        chosen.append(int(active[best]))
        reached.append(float(own[best]))
        np.minimum(own, squared_distances(near, near[best : best + 1])[:, 0], out=own)
        own[best] = _CHOSEN
    return chosen, reached


def _farthest(squared: EmbeddingArray, n_active: int) -> tuple[IntArray, float]:
    """Return the positions of the farthest points in rising order, and the highest squared distance of the others."""
    if n_active >= len(squared):
        return np.arange(len(squared)), float(_CHOSEN)
    order = np.argpartition(-squared, n_active)
    # The first of all farthest points must be among them, or another would be chosen than by the plain rule.
    active = np.union1d(order[:n_active], [squared.argmax()])
    others = np.ones(len(squared), dtype=np.bool_)
    others[active] = False
    return active, float(squared[others].max(initial=_CHOSEN))


def _most_central(points: EmbeddingArray) -> int:
    """Return the position of the point nearest to the mean of all points, the first of equals."""
    mean = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    return int(squared_distances(points, mean[np.newaxis, :]).argmin())
