"""Draws whose stated probabilities are the true ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning.shares import ShareCounts, draw_by_group, draw_uniform, split_shares, turn_within_group
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import QUICK


@pytest.mark.parametrize(
    ("n", "explored", "audited", "counts"),
    [
        (120, 0.12, 0.08, ShareCounts(96, 14, 10)),
        (0, 0.12, 0.08, ShareCounts(0, 0, 0)),
        (1, 0.12, 0.08, ShareCounts(1, 0, 0)),
        (4, 0.12, 0.08, ShareCounts(2, 1, 1)),
        (50, 0.0, 0.0, ShareCounts(50, 0, 0)),
        (7, 0.0, 1.0, ShareCounts(0, 0, 7)),
        (7, 1.0, 0.0, ShareCounts(0, 7, 0)),
        (2, 0.12, 0.0, ShareCounts(1, 1, 0)),
        (2, 0.12, 0.08, ShareCounts(1, 0, 1)),
    ],
)
def test_shares_of_a_round(n: int, explored: float, audited: float, counts: ShareCounts) -> None:
    assert split_shares(n, explored, audited) == counts


@QUICK
@given(st.integers(0, 500), st.floats(0, 0.5), st.floats(0, 0.5))
def test_shares_sum_to_the_query_size(n: int, explored: float, audited: float) -> None:
    counts = split_shares(n, explored, audited)
    assert counts.chosen + counts.explored + counts.audited == n
    assert min(counts.chosen, counts.explored, counts.audited) >= 0


@pytest.mark.parametrize(
    ("n", "explored", "audited"), [(-1, 0.1, 0.1), (10, 0.6, 0.6), (10, -0.1, 0.1), (10, np.nan, 0)]
)
def test_shares_that_do_not_fit_are_refused(n: int, explored: float, audited: float) -> None:
    with pytest.raises(InvalidInputError):
        split_shares(n, explored, audited)


@pytest.mark.parametrize(("n_images", "n", "probability"), [(10, 4, 0.4), (3, 8, 1.0), (1, 1, 1.0)])
def test_a_uniform_draw_knows_its_probability(n_images: int, n: int, probability: float) -> None:
    drawn = draw_uniform(n_images, n, np.random.default_rng(0))
    assert drawn.probabilities is not None
    assert drawn.probabilities.tolist() == [probability] * min(n, n_images)
    assert drawn.indices.dtype == np.int64


def test_draws_from_nothing_are_empty() -> None:
    rng = np.random.default_rng(0)
    assert len(draw_uniform(0, 5, rng)) == len(draw_by_group(np.zeros(0, dtype=np.int64), 5, rng)) == 0
    assert len(draw_by_group(np.array([1, 2]), 0, rng)) == 0


@QUICK
@given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 20))
def test_one_of_each_group_comes_before_a_second_of_any(groups: list[int], n: int) -> None:
    codes = np.array(groups, dtype=np.int64)
    turns = turn_within_group(codes[draw_by_group(codes, n, np.random.default_rng(2)).indices])
    assert (np.diff(turns) >= 0).all()


@QUICK
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 12))
def test_probabilities_of_a_group_draw_sum_to_its_size(groups: list[int], n: int) -> None:
    codes, rng = np.array(groups, dtype=np.int64), np.random.default_rng(2)
    whole = draw_by_group(codes, n, rng)
    assert whole.probabilities is not None
    assert (whole.probabilities > 0).all()
    if n >= len(groups):
        assert whole.probabilities.tolist() == pytest.approx([1.0] * len(groups))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_stated_probabilities_are_the_frequencies(n: int) -> None:
    groups, rng, draws = np.array([5, 8, 8, 8, 2]), np.random.default_rng(11), 400
    seen, stated = np.zeros(5), np.zeros(5)
    for _ in range(draws):
        drawn = draw_by_group(groups, n, rng)
        assert drawn.probabilities is not None
        seen[drawn.indices] += 1
        stated[drawn.indices] = drawn.probabilities
    assert stated.sum() == pytest.approx(n)
    assert seen / draws == pytest.approx(stated, abs=0.07)


def test_probabilities_of_two_groups_by_hand() -> None:
    groups = np.array([0, 1, 1, 1])
    stated: dict[int, float] = {}
    for seed in range(40):
        drawn = draw_by_group(groups, 1, np.random.default_rng(seed))
        assert drawn.probabilities is not None
        stated[int(groups[drawn.indices[0]])] = float(drawn.probabilities[0])
    assert stated == pytest.approx({0: 1 / 2, 1: 1 / 6})
