"""Promotions as a line: what a rollback can go back to, and which steps are left."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.promotion import Promotion, PromotionReason, PromotionStep, earlier_champions, open_steps
from tests.factories import MOMENT

FIRST, GATE, BACK, PERSON = (
    PromotionReason.FIRST_MODEL,
    PromotionReason.GATE,
    PromotionReason.ROLLBACK,
    PromotionReason.PERSON,
)


def line(*rows: tuple[int, PromotionReason]) -> list[Promotion]:
    return [Promotion(n, version, None, None, reason, MOMENT) for n, (version, reason) in enumerate(rows, start=1)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([(1, FIRST)], []),
        ([(1, FIRST), (2, GATE), (3, GATE)], [2, 1]),
        # A rollback goes back, and the next one further back, never forth to what was left.
        ([(1, FIRST), (2, GATE), (3, GATE), (2, BACK)], [1]),
        ([(1, FIRST), (2, GATE), (3, GATE), (2, BACK), (1, BACK)], []),
        ([(1, FIRST), (2, GATE), (3, GATE), (1, BACK)], []),
        # What comes after a rollback stands on what it went back to.
        ([(1, FIRST), (2, GATE), (1, BACK), (3, GATE)], [1]),
        # A person brought 2 back: the way back from there is to 3.
        ([(1, FIRST), (2, GATE), (3, GATE), (2, PERSON)], [3, 1]),
    ],
)
def test_a_rollback_can_go_back_to(rows: list[tuple[int, PromotionReason]], expected: list[int]) -> None:
    assert earlier_champions(line(*rows)) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_rolling_back_again_and_again_ends_and_never_shows_a_version_twice(versions: list[int]) -> None:
    rows = [(version, GATE) for version in versions]
    seen = []
    while earlier := earlier_champions(line(*rows)):
        rows.append((earlier[0], BACK))
        seen.append(earlier[0])
        assert len(seen) <= len(versions)
    # The line was walked back to its beginning.
    assert (seen or versions)[-1] == versions[0]
    assert all(one != other for one, other in pairwise(seen))


def test_steps_are_left_in_order_and_none_once_superseded() -> None:
    assert open_steps([]) == (
        PromotionStep.RELEASE,
        PromotionStep.REGISTRY,
        PromotionStep.SERVING,
        PromotionStep.POOL,
        PromotionStep.PRE_ANNOTATIONS,
    )
    done = [PromotionStep.RELEASE, PromotionStep.POOL]
    assert open_steps(done) == (PromotionStep.REGISTRY, PromotionStep.SERVING, PromotionStep.PRE_ANNOTATIONS)
    assert open_steps([*done, PromotionStep.SUPERSEDED]) == ()
