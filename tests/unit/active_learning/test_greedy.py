"""Greedy choices: the fast way gives what the plain way gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning.greedy import cover_lazily
from active_learning.kcenter import _farthest, farthest_first
from tests.unit.active_learning.pools import QUICK

KERNEL = np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]], dtype=np.float32)
ONES, ZEROS = np.ones(3, dtype=np.float32), np.zeros(3, dtype=np.float32)


def cover_plainly(
    kernel: np.ndarray, weights: np.ndarray, covered: np.ndarray, n: int
) -> tuple[list[int], list[float]]:
    covered, chosen, gains = covered.copy(), [], []
    for _ in range(min(n, len(kernel))):
        gain = np.array([float(weights @ np.maximum(row - covered, 0.0)) for row in kernel])
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        gains.append(float(gain.max()))
        covered = np.maximum(covered, kernel[chosen[-1]])
    return chosen, gains


def choose_farthest_plainly(points: np.ndarray, labeled: np.ndarray, n: int) -> list[int]:
    chosen: list[int] = []
    if not len(labeled):
        chosen.append(int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin()))
    while len(chosen) < min(n, len(points)):
        centres = np.concatenate((labeled, points[chosen]))
        distances = np.linalg.norm(points[:, np.newaxis] - centres, axis=2).min(axis=1)
        distances[chosen] = -1.0
        chosen.append(int(distances.argmax()))
    return chosen[:n]


def test_gains_by_hand() -> None:
    chosen, gains = cover_lazily(KERNEL, ONES, ZEROS, 3)
    assert chosen.tolist() == [0, 2, 1]
    assert gains.tolist() == [1.5, 1.0, 0.5]


def test_weights_and_what_is_labeled_change_the_gains() -> None:
    chosen, gains = cover_lazily(KERNEL, np.array([1, 1, 4], dtype=np.float32), ZEROS, 1)
    assert (chosen.tolist(), gains.tolist()) == ([2], [4.0])
    covered = np.array([0, 0, 0.75], dtype=np.float32)
    chosen, gains = cover_lazily(KERNEL, ONES, covered, 3)
    assert (chosen.tolist(), gains.tolist()) == ([0, 1, 2], [1.5, 0.5, 0.25])
    assert covered.tolist() == [0.0, 0.0, 0.75]


def test_nothing_is_chosen_from_nothing() -> None:
    assert cover_lazily(KERNEL, ONES, ZEROS, 0)[0].tolist() == []
    assert cover_lazily(np.zeros((0, 0), dtype=np.float32), ZEROS[:0], ZEROS[:0], 2)[0].tolist() == []


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 14), st.booleans())
def test_lazy_greedy_equals_naive_greedy(seed: int, n_images: int, has_ties: bool) -> None:
    rng = np.random.default_rng(seed)
    kernel = rng.uniform(size=(n_images, n_images)).astype(np.float32)
    kernel = np.maximum(kernel, kernel.T)
    if has_ties:
        kernel = kernel.round(1)
    np.fill_diagonal(kernel, 1.0)
    weights = rng.uniform(size=n_images).astype(np.float32).round(1)
    covered = rng.uniform(0, 0.5, n_images).astype(np.float32)
    chosen, gains = cover_lazily(kernel, weights, covered, n_images)
    expected = cover_plainly(kernel, weights, covered, n_images)
    assert chosen.tolist() == expected[0]
    assert gains.tolist() == expected[1]


def test_farthest_first_by_hand() -> None:
    line = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)
    chosen, distances = farthest_first(line, line[:1], 3)
    assert chosen.tolist() == [2, 1, 0]
    assert distances.tolist() == [5.0, 1.0, 0.0]


def test_with_nothing_labeled_the_most_central_comes_first() -> None:
    line = np.array([[0.0], [2.5], [6.0]], dtype=np.float32)
    chosen, distances = farthest_first(line, line[:0], 3)
    assert chosen.tolist() == [1, 2, 0]
    assert distances.tolist() == [0.0, 3.5, 2.5]


def test_farthest_first_of_nothing_is_nothing() -> None:
    line = np.array([[0.0], [1.0]], dtype=np.float32)
    assert farthest_first(line, line[:0], 0)[0].tolist() == []
    assert farthest_first(line[:0], line, 3)[0].tolist() == []
    assert farthest_first(line[:0], line[:0], 3)[0].tolist() == []


def test_points_that_are_all_the_same_are_chosen_in_their_order() -> None:
    same = np.ones((4, 2), dtype=np.float32)
    for n_active in (1, 2, 9):
        assert farthest_first(same, same[:0], 9, n_active)[0].tolist() == [0, 1, 2, 3]


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(0, 3), st.integers(1, 30))
def test_few_points_kept_up_to_date_give_the_plain_choice(
    seed: int, n_points: int, n_labeled: int, n_active: int
) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers: distances are exact, and there are ties.
    points = rng.integers(0, 12, (n_points, 2)).astype(np.float32)
    labeled = rng.integers(0, 12, (n_labeled, 2)).astype(np.float32)
    # With nothing labeled the first choice is by a mean, which is rounded: that is tried below without ties.
    labeled = labeled if n_labeled else points[:1]
    chosen, distances = farthest_first(points, labeled, n_points, n_active)
    assert chosen.tolist() == choose_farthest_plainly(points, labeled, n_points)
    assert distances.tolist() == sorted(distances.tolist(), reverse=True)


def test_a_choice_among_many_points_is_the_plain_one() -> None:
    points = np.random.default_rng(3).normal(size=(300, 3)).astype(np.float32)
    expected = choose_farthest_plainly(points, points[:0], 40)
    for n_active in (7, 60):
        assert farthest_first(points, points[:0], 40, n_active)[0].tolist() == expected


def test_distances_of_chosen_points_do_not_rise() -> None:
    points = np.random.default_rng(4).normal(size=(100, 3)).astype(np.float32)
    distances = farthest_first(points, points[:2], 30, 10)[1]
    assert (np.diff(distances) <= 1e-6).all()
    assert distances[0] == pytest.approx(np.linalg.norm(points[:, None] - points[:2], axis=2).min(axis=1).max())


def test_the_farthest_points_are_the_ones_kept_up_to_date() -> None:
    squared = np.array([1.0, 5.0, 3.0, 4.0, 0.0], dtype=np.float32)
    active, bound = _farthest(squared, 2)
    assert (active.tolist(), bound) == ([1, 3], 3.0)
    assert _farthest(squared, 5) == (pytest.approx(np.arange(5)), -1.0)
