"""What every strategy keeps, whatever its formula, and the scores of each by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from active_learning import registry
from active_learning.arrays import FloatArray
from active_learning.protocol import Candidates
from active_learning.ranking import select_highest
from active_learning.strategies import entropy, least_confidence, margin
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import POOLS, QUICK, make_pool

NAMES = registry.names()
SCORES: dict[str, Callable[[Candidates], FloatArray]] = {
    "entropy": entropy.score,
    "least_confidence": least_confidence.score,
    "margin": margin.score,
}


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(pool=POOLS, n=st.integers(0, 15), seed=st.integers(0, 9))
def test_the_same_seed_gives_the_same_distinct_images(name: str, pool: Candidates, n: int, seed: int) -> None:
    first, second = (registry.strategy(name)(pool, n, np.random.default_rng(seed)) for _ in range(2))
    assert len(first) == min(n, len(pool))
    assert first.indices.tolist() == second.indices.tolist()
    assert set(first.indices.tolist()) <= set(range(len(pool)))
    assert all(first.reasons)


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(pool=POOLS, n=st.integers(0, 12))
def test_asking_for_more_keeps_the_beginning(name: str, pool: Candidates, n: int) -> None:
    fewer, more = (registry.strategy(name)(pool, size, np.random.default_rng(1)) for size in (n, 2 * n))
    assert more.indices[: len(fewer)].tolist() == fewer.indices.tolist()


@pytest.mark.parametrize("name", sorted(SCORES))
@QUICK
@given(pool=POOLS, seed=st.integers(0, 99))
def test_a_permutation_of_the_pool_permutes_the_answer(name: str, pool: Candidates, seed: int) -> None:
    scores = np.sort(SCORES[name](pool))
    assume(len(pool) < 2 or np.diff(scores).min() > 1e-9)
    permutation = np.random.default_rng(seed).permutation(len(pool))
    plain = registry.strategy(name)(pool, 5, np.random.default_rng(0))
    permuted = registry.strategy(name)(pool.take(permutation), 5, np.random.default_rng(3))
    assert permutation[permuted.indices].tolist() == plain.indices.tolist()
    assert permuted.reasons == plain.reasons


@pytest.mark.parametrize("name", NAMES)
def test_ties_fall_to_the_generator_and_not_to_the_position(name: str) -> None:
    pool = make_pool([[0.5]] * 6)
    firsts = {int(registry.strategy(name)(pool, 1, np.random.default_rng(seed)).indices[0]) for seed in range(60)}
    assert firsts == set(range(6))


@pytest.mark.parametrize("name", sorted(SCORES))
def test_an_image_without_detections_is_neither_first_nor_last(name: str) -> None:
    pool = make_pool([[0.99], [], [0.5]])
    chosen = registry.strategy(name)(pool, 3, np.random.default_rng(0))
    assert chosen.indices.tolist() == [2, 1, 0]
    assert chosen.reasons[1] == "no box, highest score 0.04"


@pytest.mark.parametrize("name", sorted(SCORES))
def test_of_two_images_without_detections_the_one_with_more_below_the_floor_comes_first(name: str) -> None:
    pool = make_pool([[], []], top_scores=[0.01, 0.03])
    assert registry.strategy(name)(pool, 2, np.random.default_rng(0)).indices.tolist() == [1, 0]


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_number_of_images_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        registry.strategy(name)(make_pool([[0.5]]), -1, np.random.default_rng(0))


def test_scores_of_hand_made_images() -> None:
    pool = make_pool([[0.5, 0.25], [0.9, 0.5], []])
    assert entropy.score(pool).tolist() == pytest.approx([1.8113, 1.4690, 0.2423], abs=5e-5)
    assert least_confidence.score(pool).tolist() == pytest.approx([0.625, 0.3, 0.04])
    assert margin.score(pool).tolist() == pytest.approx([1.0, 1.0, 0.08])


def test_only_the_five_most_uncertain_boxes_count() -> None:
    crowded, plain = entropy.score(make_pool([[0.5] * 5 + [0.06] * 40, [0.5] * 5]))
    assert crowded == pytest.approx(plain)


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([0.5], "one box near 0.5"),
        ([0.45, 0.6, 0.99], "two boxes near 0.5"),
        ([0.9], "one box, the least sure at 0.90"),
        ([0.06, 0.1], "two boxes, the least sure at 0.10"),
    ],
)
def test_entropy_says_why(boxes: list[float], reason: str) -> None:
    assert entropy.select(make_pool([boxes]), 1, np.random.default_rng(0)).reasons == (reason,)


def test_a_score_that_is_not_finite_is_never_ranked() -> None:
    with pytest.raises(InvalidInputError):
        select_highest(np.array([0.1, np.nan]), 1, np.random.default_rng(0), str)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"no query strategy 'coin'; there are entropy, .*random"):
        registry.strategy("coin")


def test_every_citation_is_in_the_bibliography() -> None:
    root = Path(registry.__file__).parent
    cited = set()
    for module in root.rglob("*.py"):
        for keys in re.findall(r"\[((?:[a-z]+\d{4}(?:, )?)+)\]", module.read_text()):
            cited.update(keys.split(", "))
    known = set(re.findall(r"@\w+\{(\w+),", (root.parent / "docs" / "references.bib").read_text()))
    assert cited
    assert cited <= known
