"""Keeps one vehicle from filling a round. A preference, never a refusal: a small pool is still used up."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

import numpy as np

from active_learning.arrays import FloatArray, IntArray, require_shape
from active_learning.protocol import Candidates, Labeled, Selection, Strategy, require_count
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

    Every group gives `max_per_group` images before any gives more. As long as the strategy wants more of a
    group than that, it is asked again for what is still lacking, among the groups that may give more; what is
    chosen already counts as labeled. So a strategy is never asked to rank a whole pool. If the limit changed
    which images are chosen, their probabilities are unknown (None).

    Raises:
        InvalidInputError: If `n` is negative or `max_per_group` is below 1.
    """
    require_count(n)
    if max_per_group < 1:
        raise InvalidInputError(f"At least one image of a group must be allowed, not {max_per_group}.")
    seed = int(rng.integers(2**63))
    first = strategy(candidates, n, np.random.default_rng(seed))
    sizes = np.unique(candidates.groups, return_counts=True)[1]
    highest = needed_limit(sizes, len(first), max_per_group)
    chosen = _Chosen(candidates)
    for limit in (highest - max_per_group, highest):
        _fill(chosen, strategy, first, limit, min(len(first), int(np.minimum(sizes, limit).sum())), seed)
    if set(chosen.indices) == set(first.indices.tolist()):
        return _in_order(first, limit_per_group(first.indices, candidates.groups, max_per_group), first.probabilities)
    order = np.array(chosen.indices, dtype=np.int64)
    found = Selection(order, None, np.array(chosen.scores, dtype=np.float64), tuple(chosen.reasons))
    return _in_order(found, limit_per_group(order, candidates.groups, max_per_group), None)


def needed_limit(sizes: IntArray, n: int, step: int) -> int:
    """Return the smallest multiple of `step`, at least one, so that groups of these sizes can give `n` images.

    Groups of 1 and 5 images and a step of 2: 2 for n = 3, 4 for n = 5, 6 for n = 6.
    """
    turns = range(1, int(sizes.max(initial=1)) // step + 2)
    return step * turns[bisect_left(turns, n, key=lambda turn: int(np.minimum(sizes, turn * step).sum()))]


def select_among(
    strategy: Strategy, candidates: Candidates, allowed: IntArray, n: int, rng: np.random.Generator
) -> Selection:
    """Return what the strategy wants most of the images at `allowed`, indices referring to the whole pool.

    Probabilities hold for a draw from the allowed images.

    Args:
        strategy: Asked for `n` images of the allowed ones.
        candidates: The whole pool.
        allowed: Distinct positions, shape (n_allowed,).
        n: How many.
        rng: Handed to the strategy.

    Raises:
        InvalidInputError: If `n` is negative.
    """
    part = strategy(candidates.take(allowed), n, rng)
    return Selection(allowed[part.indices], part.probabilities, part.scores, part.reasons)


class _Chosen:
    """What has been chosen so far, most wanted first."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.codes = np.unique(candidates.groups, return_inverse=True)[1].reshape(-1)
        self.given = np.zeros(int(self.codes.max(initial=-1)) + 1, dtype=np.int64)
        self.is_chosen = np.zeros(len(candidates), dtype=np.bool_)
        self.indices: list[int] = []
        self.scores: list[float] = []
        self.reasons: list[str] = []

    def accept(self, positions: IntArray, wanted: Selection, limit: int, n: int) -> None:
        """Add images at `positions` until there are `n`, those left out whose group has given `limit`."""
        for position, score, reason in zip(positions.tolist(), wanted.scores.tolist(), wanted.reasons, strict=True):
            code = self.codes[position]
            if len(self.indices) < n and not self.is_chosen[position] and self.given[code] < limit:
                self.given[code] += 1
                self.is_chosen[position] = True
                self.indices.append(position)
                self.scores.append(score)
                self.reasons.append(reason)

    def open_positions(self, limit: int) -> IntArray:
        """Return what may still be chosen, rising."""
        return np.flatnonzero(~self.is_chosen & (self.given[self.codes] < limit))

    def rest(self, positions: IntArray) -> Candidates:
        """Return the pool at `positions`, with what is chosen counted as labeled."""
        pool = self.candidates.take(positions)
        if self.candidates.embeddings is None:
            return pool
        labeled = pool.labeled or Labeled()
        chosen = self.candidates.embeddings[self.indices]
        known = labeled.embeddings
        known = chosen if known is None or not len(known) else np.concatenate((known, chosen))
        return replace(pool, labeled=replace(labeled, embeddings=known))


def _fill(chosen: _Chosen, strategy: Strategy, first: Selection, limit: int, n: int, seed: int) -> None:
    """Ask the strategy until `n` are chosen, beginning with its first answer; there must be room for `n`."""
    chosen.accept(first.indices, first, limit, n)
    # More than are lacking, and more each time: looking through the pool again costs more than a longer answer,
    # and a ranking in which one large group leads is passed in a few steps.
    patience = 4
    while len(chosen.indices) < n:
        positions = chosen.open_positions(limit)
        asked = patience * (n - len(chosen.indices))
        wanted = strategy(chosen.rest(positions), asked, np.random.default_rng(seed))
        chosen.accept(positions[wanted.indices], wanted, limit, n)
        patience *= 4


def _in_order(selection: Selection, order: IntArray, probabilities: FloatArray | None) -> Selection:
    """Return the same images in this order of theirs."""
    places = {index: place for place, index in enumerate(selection.indices.tolist())}
    kept = [places[index] for index in order.tolist()]
    return Selection(
        indices=order,
        probabilities=None if probabilities is None else probabilities[kept],
        scores=selection.scores[kept],
        reasons=tuple(selection.reasons[place] for place in kept),
    )
