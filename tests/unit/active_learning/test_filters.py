"""One vehicle does not fill a round, and a small pool is still used up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning import registry
from active_learning.filters import limit_per_group, needed_limit, select_among, select_limited
from active_learning.protocol import Candidates, Labeled, Selection
from active_learning.shares import turn_within_group
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import POOLS, QUICK, make_pool, random_pool


@pytest.mark.parametrize(
    ("order", "groups", "limit", "expected"),
    [
        ([], [], 1, []),
        ([0, 1, 2], [5, 5, 9], 1, [0, 2, 1]),
        ([3, 1, 0, 2], [5, 5, 5, 5], 1, [3, 1, 0, 2]),
        ([0, 1, 2, 3], [5, 5, 5, 9], 2, [0, 1, 3, 2]),
        ([4, 0], [1, 2, 3, 4, 1], 1, [4, 0]),
    ],
)
def test_further_images_of_a_group_come_after_the_first_of_others(
    order: list[int], groups: list[int], limit: int, expected: list[int]
) -> None:
    found = limit_per_group(np.array(order, dtype=np.int64), np.array(groups, dtype=np.int64), limit)
    assert found.tolist() == expected


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        limit_per_group(np.array([0]), np.array([0]), 0)


@pytest.mark.parametrize("name", registry.names())
@QUICK
@given(pool=POOLS, n=st.integers(0, 14), limit=st.integers(1, 3))
def test_a_limited_selection_is_full_and_exceeds_the_limit_only_when_groups_run_out(
    name: str, pool: Candidates, n: int, limit: int
) -> None:
    chosen = select_limited(registry.strategy(name), pool, n, limit, np.random.default_rng(0))
    assert len(chosen) == min(n, len(pool))
    sizes = np.bincount(pool.groups, minlength=1)
    room = int(np.minimum(sizes, limit).sum())
    if n <= room:
        assert (turn_within_group(pool.groups[chosen.indices]) < limit).all()


def test_the_limit_takes_the_best_of_each_vehicle() -> None:
    pool = make_pool([[0.5], [0.49], [0.9], [0.3]], groups=[1, 1, 2, 2])
    chosen = select_limited(registry.strategy("entropy"), pool, 2, 1, np.random.default_rng(0))
    assert chosen.indices.tolist() == [0, 3]
    assert chosen.probabilities is None
    assert chosen.reasons == ("one box near 0.5", "one box near 0.5")


def test_random_keeps_its_probabilities_under_the_limit() -> None:
    pool = make_pool([[0.5]] * 4, groups=[0, 1, 1, 1])
    for n in range(1, 5):
        chosen = select_limited(registry.strategy("random"), pool, n, 1, np.random.default_rng(n))
        assert chosen.probabilities is not None


@pytest.mark.parametrize(
    ("sizes", "n", "step", "limit"),
    [([1, 5], 3, 2, 2), ([1, 5], 5, 2, 4), ([1, 5], 6, 2, 6), ([1, 5], 2, 1, 1), ([1, 5], 0, 3, 3), ([], 0, 2, 2)],
)
def test_the_lowest_limit_that_leaves_room(sizes: list[int], n: int, step: int, limit: int) -> None:
    assert needed_limit(np.array(sizes, dtype=np.int64), n, step) == limit


def test_every_group_gives_the_limit_before_any_gives_more() -> None:
    pool = make_pool([[0.5], [0.49], [0.48], [0.47], [0.9], [0.91]], groups=[1, 1, 1, 1, 2, 3])
    chosen = select_limited(registry.strategy("entropy"), pool, 5, 1, np.random.default_rng(0))
    assert chosen.indices.tolist() == [0, 4, 5, 1, 2]


def test_a_strategy_is_asked_for_little_more_than_is_wanted() -> None:
    asked: list[tuple[int, int]] = []

    def watched(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
        asked.append((n, len(candidates)))
        return registry.strategy("coreset")(candidates, n, rng)

    pool = random_pool(7, 400)
    chosen = select_limited(watched, pool, 20, 4, np.random.default_rng(0))
    assert np.bincount(pool.groups[chosen.indices]).tolist() == [4, 4, 4, 4, 4]
    assert asked[0] == (20, 400)
    assert sum(n for n, _ in asked) < 400
    assert all(size < 400 for _, size in asked[1:])


def test_what_is_chosen_counts_as_labeled_when_the_strategy_is_asked_again() -> None:
    seen: list[list[float]] = []

    def watched(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
        known = candidates.labeled
        seen.append([] if known is None or known.embeddings is None else known.embeddings[:, 0].tolist())
        return registry.strategy("coreset")(candidates, n, rng)

    embeddings = np.array([[1, 0], [-1, 0.1], [0, 1], [0, -1.1]], dtype=np.float32)
    pool = Candidates.without_predictions(np.array([5, 5, 6, 6]), embeddings)
    chosen = select_limited(watched, pool, 2, 1, np.random.default_rng(0))
    assert sorted(pool.groups[chosen.indices].tolist()) == [5, 6]
    assert seen[0] == []
    assert [len(known) for known in seen[1:]] in ([], [1])


def test_a_choice_among_allowed_images_refers_to_the_whole_pool() -> None:
    pool = make_pool([[0.5], [0.4], [0.3], [0.45]])
    chosen = select_among(registry.strategy("entropy"), pool, np.array([2, 1, 3]), 2, np.random.default_rng(0))
    assert chosen.indices.tolist() == [3, 1]
    assert chosen.reasons == ("one box near 0.5", "one box near 0.5")
    drawn = select_among(registry.strategy("random"), pool, np.array([1, 2]), 1, np.random.default_rng(0))
    assert drawn.probabilities is not None
    assert drawn.probabilities.tolist() == [0.5]


def test_what_is_chosen_is_added_to_what_was_labeled_before() -> None:
    seen: list[list[float]] = []
    offered: list[list[int]] = []

    def watched(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
        known = candidates.labeled
        seen.append([] if known is None or known.embeddings is None else known.embeddings[:, 0].tolist())
        offered.append(candidates.groups.tolist())
        order = np.arange(min(n, len(candidates)))
        return Selection(order, None, np.zeros(len(order)), ("",) * len(order))

    embeddings = np.array([[1.0], [2.0], [3.0]], dtype=np.float32)
    labeled = Labeled(np.array([[7.0]], dtype=np.float32))
    pool = Candidates.without_predictions(np.array([5, 5, 6]), embeddings, labeled)
    chosen = select_limited(watched, pool, 2, 1, np.random.default_rng(0))
    assert chosen.indices.tolist() == [0, 2]
    assert seen == [[7.0], [7.0, 1.0]]
    # Of group 5 no more may be chosen.
    assert offered == [[5, 5, 6], [6]]


def test_a_strategy_is_asked_with_the_same_numbers_when_the_seed_is_the_same() -> None:
    drawn: list[float] = []

    def watched(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
        drawn.append(float(rng.random()))
        order = np.arange(min(n, len(candidates)))
        return Selection(order, None, np.zeros(len(order)), ("",) * len(order))

    pool = Candidates.without_predictions(np.array([5, 5, 6]))
    for seed in (3, 3, 4):
        select_limited(watched, pool, 2, 1, np.random.default_rng(seed))
    first, second, third = drawn[:2], drawn[2:4], drawn[4:]
    assert first == second
    assert first != third


def test_a_long_order_stays_within_each_round_of_groups() -> None:
    rng = np.random.default_rng(0)
    order, groups = rng.permutation(300), rng.integers(0, 3, 300)
    turns: dict[int, int] = {}
    places: list[tuple[int, int]] = []
    for place, position in enumerate(order.tolist()):
        code = int(groups[position])
        places.append((turns.get(code, 0) // 20, place))
        turns[code] = turns.get(code, 0) + 1
    expected = [int(order[place]) for _, place in sorted(places)]
    assert limit_per_group(order, groups, 20).tolist() == expected
