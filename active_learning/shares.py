"""The three shares of a round, and draws whose probabilities are known exactly [horvitz1952]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active_learning.arrays import FloatArray, IntArray
from active_learning.protocol import Selection, require_count
from damageloop.errors import InvalidInputError

DRAWN_AT_RANDOM = "drawn at random"


@dataclass(frozen=True, slots=True)
class ShareCounts:
    """How many images of a round each rule chooses; they sum to the query size."""

    chosen: int
    explored: int
    audited: int


def split_shares(n: int, explored: float, audited: float) -> ShareCounts:
    """Return how many of `n` images each rule chooses; halves are rounded up, the strategy gets the rest.

    120 images with 0.12 and 0.08 give 96 chosen, 14 explored and 10 audited. A share above 0 gets at least
    one image as long as the strategy keeps one, since a share that is never drawn can estimate nothing.

    Raises:
        InvalidInputError: If `n` is negative, a share is outside 0 to 1, or both together exceed 1.
    """
    require_count(n)
    if not (0.0 <= explored <= 1.0 and 0.0 <= audited <= 1.0 and explored + audited <= 1.0 + 1e-9):
        raise InvalidInputError(f"Shares of {explored} and {audited} do not fit into one round.")
    n_audited = _count(n, audited, available=n)
    n_explored = _count(n, explored, available=n - n_audited)
    return ShareCounts(n - n_explored - n_audited, n_explored, n_audited)


def draw_uniform(n_images: int, n: int, rng: np.random.Generator) -> Selection:
    """Draw min(n, n_images) positions, each set equally likely: every probability is n / n_images.

    Raises:
        InvalidInputError: If `n` is negative.
    """
    require_count(n)
    indices = rng.permutation(n_images)[:n].astype(np.int64)
    probabilities = np.full(len(indices), len(indices) / max(n_images, 1))
    return _drawn(indices, probabilities)


def draw_by_group(groups: IntArray, n: int, rng: np.random.Generator) -> Selection:
    """Draw one image of each group, groups in random order; then a second of each that has one, and so on.

    With groups of 1 and 3 images, `n` = 1 gives probabilities 1/2 and 1/6; `n` = 2 gives 1 and 1/3.

    Args:
        groups: Integer code of each image's group, shape (n_images,).
        n: How many; the whole pool when it is smaller.
        rng: Orders groups, and images within a group.

    Raises:
        InvalidInputError: If `n` is negative.
    """
    require_count(n)
    n_images = len(groups)
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    shuffled = rng.permutation(n_images)
    passes = np.empty(n_images, dtype=np.int64)
    passes[shuffled] = turn_within_group(codes[shuffled])
    indices = np.lexsort((rng.random(n_images), passes))[:n].astype(np.int64)
    return _drawn(indices, _probabilities_by_group(codes, len(indices))[indices])


def turn_within_group(groups: IntArray) -> IntArray:
    """Return how many of its group stand before each element: (7, 7, 3, 7) gives (0, 1, 0, 2)."""
    by_group = np.argsort(groups, kind="stable")
    ordered = groups[by_group]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(groups)])
    sizes = np.diff(np.append(starts, len(groups)))
    turns = np.empty(len(groups), dtype=np.int64)
    turns[by_group] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return turns


def _probabilities_by_group(codes: IntArray, n: int) -> FloatArray:
    """Return each image's probability under `draw_by_group`: its group's expected draws over its size."""
    if n == 0:
        return np.zeros(len(codes))
    sizes = np.bincount(codes)
    reaching = np.array([np.count_nonzero(sizes > turn) for turn in range(int(sizes.max()))])
    drawn_before = np.cumsum(reaching) - reaching
    full_share = np.clip((n - drawn_before) / reaching, 0.0, 1.0)
    expected = np.concatenate(([0.0], np.cumsum(full_share)))[sizes]
    return np.asarray((expected / sizes)[codes], dtype=np.float64)


def _drawn(indices: IntArray, probabilities: FloatArray) -> Selection:
    return Selection(indices, probabilities, np.zeros(len(indices)), (DRAWN_AT_RANDOM,) * len(indices))


def _count(n: int, share: float, available: int) -> int:
    if share == 0.0:
        return 0
    wanted = int(np.floor(n * share + 0.5))
    return min(max(wanted, 1 if available > 1 else 0), available)
