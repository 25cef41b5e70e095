"""Keeps one vehicle from filling a round. A preference, never a refusal: a small pool is still used up."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import IntArray, require_shape
from active_learning.protocol import Candidates, Selection, Strategy, require_count
from active_learning.shares import turn_within_group
from damageloop.errors import InvalidInputError


def limit_per_group(order: IntArray, groups: IntArray, max_per_group: int) -> IntArray:
    """Return the same positions, each group's first `max_per_group` before any further ones.

    Otherwise the given order stays. With a maximum of 1, order (0, 1, 2) and groups (5, 5, 9) give (0, 2, 1):
    when the groups run out, the second of each follows, then the third.

    Args:
        order: Positions in the pool, shape (n_ordered,), most wanted first.
        groups: Group code of every image of the pool, shape (n_images,).
        max_per_group: At least 1.

    Raises:
        InvalidInputError: If `max_per_group` is below 1 or a shape does not fit.
    """
    if max_per_group < 1:
        raise InvalidInputError(f"At least one image of a group must be allowed, not {max_per_group}.")
    require_shape("order", order, (-1,))
    require_shape("groups", groups, (-1,))
    rounds = turn_within_group(groups[order]) // max_per_group
    return order[np.argsort(rounds, kind="stable")]


def select_limited(
    strategy: Strategy, candidates: Candidates, n: int, max_per_group: int, rng: np.random.Generator
) -> Selection:
    """Return what the strategy wants most, with few images of one group where the pool allows it.

    The strategy is asked for more and more of its ranking until enough groups are in it. If the limit changed
    anything, the probabilities are unknown (None).

    Raises:
        InvalidInputError: If `n` is negative or `max_per_group` is below 1.
    """
    require_count(n)
    seed = int(rng.integers(2**63))
    first = wanted = strategy(candidates, n, np.random.default_rng(seed))
    while True:
        order = limit_per_group(wanted.indices, candidates.groups, max_per_group)[:n]
        is_within = bool((turn_within_group(candidates.groups[order]) < max_per_group).all())
        if is_within or len(wanted) >= len(candidates):
            break
        wanted = strategy(candidates, 2 * len(wanted), np.random.default_rng(seed))
    has_same_images = np.array_equal(np.sort(order), np.sort(first.indices))
    return _reordered(first if has_same_images else wanted, order, has_same_images)


def _reordered(selection: Selection, order: IntArray, has_same_images: bool) -> Selection:
    places = {int(index): place for place, index in enumerate(selection.indices)}
    kept = [places[int(index)] for index in order]
    known = selection.probabilities if has_same_images else None
    return Selection(
        indices=order,
        probabilities=None if known is None else known[kept],
        scores=selection.scores[kept],
        reasons=tuple(selection.reasons[place] for place in kept),
    )
