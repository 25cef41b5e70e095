"""The largest independent set, against counting all of them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.valuation.independent_set import MAX_COMPONENT, largest

Edges = set[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    n = draw(st.integers(0, 9))
    pairs = list(combinations(range(n), 2))
    return n, set(draw(st.lists(st.sampled_from(pairs), unique=True))) if pairs else set()


def is_independent(members: tuple[int, ...], edges: Edges) -> bool:
    return not any(pair in edges for pair in combinations(sorted(members), 2))


@given(graphs())
@settings(max_examples=200, deadline=None)
def test_no_independent_set_is_larger(graph: tuple[int, Edges]) -> None:
    n, edges = graph
    found = largest(n, edges)
    assert is_independent(found, edges)
    sizes = [size for size in range(n + 1) for each in combinations(range(n), size) if is_independent(each, edges)]
    assert len(found) == max(sizes)


@pytest.mark.parametrize(
    ("n", "edges", "expected"),
    [
        (0, [], ()),
        (2, [], (0, 1)),
        (3, [(0, 1), (0, 2)], (1, 2)),
        (4, [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (1, 3)], (0,)),
    ],
)
def test_small_graphs(n: int, edges: list[tuple[int, int]], expected: tuple[int, ...]) -> None:
    assert largest(n, edges) == expected


def test_a_part_that_is_too_large_counts_whole_and_one_that_is_not_is_solved() -> None:
    def path(n: int) -> list[tuple[int, int]]:
        return [(v, v + 1) for v in range(n - 1)]

    assert len(largest(MAX_COMPONENT, path(MAX_COMPONENT))) == MAX_COMPONENT // 2
    assert len(largest(MAX_COMPONENT + 1, path(MAX_COMPONENT + 1))) == MAX_COMPONENT + 1
