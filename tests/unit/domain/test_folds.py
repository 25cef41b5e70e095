"""Dealing groups out to folds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.folds import deal_folds
from damageloop.errors import ConflictError

GROUPS = ["a"] * 3 + ["b"] * 2 + ["c"] * 2 + ["d"]


def test_large_groups_are_dealt_first_so_that_folds_are_even() -> None:
    folds = deal_folds(GROUPS, 2, seed=0)
    sizes = Counter(folds[group] for group in GROUPS)
    assert sizes == {0: 4, 1: 4}


@settings(max_examples=30)
@given(st.permutations(GROUPS), st.integers(0, 5))
def test_the_order_of_the_images_changes_nothing(shuffled: list[str], seed: int) -> None:
    assert deal_folds(shuffled, 3, seed) == deal_folds(GROUPS, 3, seed)


def test_another_seed_deals_groups_of_one_size_out_otherwise() -> None:
    singles = [f"car-{number}" for number in range(30)]
    assert deal_folds(singles, 3, seed=0) != deal_folds(singles, 3, seed=1)
    assert Counter(deal_folds(singles, 3, seed=1).values()) == {0: 10, 1: 10, 2: 10}


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(ConflictError, match="1 groups"):
        deal_folds(["a", "a"], 2, seed=0)
