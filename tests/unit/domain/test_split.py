"""Splits by group."""

from __future__ import annotations

from collections import Counter

import pytest

from damageloop.domain.split import Split, split_of_group

SHARES = {Split.TRAIN: 0.60, Split.VAL: 0.15, Split.TEST: 0.25}


def test_shares_are_reached_over_many_groups() -> None:
    n = 20_000
    found = Counter(split_of_group(f"car{i}", 0, SHARES) for i in range(n))
    # Four standard deviations of a share of 0.6 are 0.014.
    assert {split: found[split] / n for split in Split} == pytest.approx(SHARES, abs=0.014)


def test_a_group_has_one_split_whatever_came_before() -> None:
    keys = [f"car{i}" for i in range(200)]
    assert [split_of_group(k, 0, SHARES) for k in keys] == [split_of_group(k, 0, SHARES) for k in reversed(keys)][::-1]


def test_the_answer_is_the_same_on_every_machine() -> None:
    assert [split_of_group(k, 7, SHARES).value for k in ("a", "b", "VIN 1", "Überfall", "")] == [
        split_of_group(k, 7, dict(reversed(SHARES.items()))).value for k in ("a", "b", "VIN 1", "Überfall", "")
    ]
    assert split_of_group("car1", 0, SHARES) is Split.TRAIN


def test_another_seed_deals_the_groups_anew() -> None:
    keys = [f"car{i}" for i in range(200)]
    assert [split_of_group(k, 0, SHARES) for k in keys] != [split_of_group(k, 1, SHARES) for k in keys]


@pytest.mark.parametrize("only", list(Split))
def test_a_share_of_one_takes_every_group(only: Split) -> None:
    shares = {split: float(split is only) for split in Split}
    assert {split_of_group(f"car{i}", 0, shares) for i in range(100)} == {only}
