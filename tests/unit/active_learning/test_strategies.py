"""What every strategy keeps, whatever its formula."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning import registry
from active_learning.arrays import FloatArray
from active_learning.needs import Need
from active_learning.protocol import Candidates, Labeled
from active_learning.ranking import select_highest
from active_learning.strategies import dfl_localization, entropy, flip_consistency, least_confidence, margin, ppal
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import POOLS, QUICK, make_pool, random_pool, see_all

NAMES = registry.names()
SCORES: dict[str, Callable[[Candidates], FloatArray]] = {
    "dfl_localization": dfl_localization.score,
    "entropy": entropy.score,
    "flip_consistency": flip_consistency.score,
    "least_confidence": least_confidence.score,
    "margin": margin.score,
}
# Each choice depends on those before it, not on how many are still to come.
PREFIXED = sorted({*SCORES, "coreset", "random", "uncertainty_herding"})
DETERMINISTIC = sorted(set(NAMES) - {"random"})


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(pool=POOLS, n=st.integers(0, 15), seed=st.integers(0, 9))
def test_the_same_seed_gives_the_same_distinct_images(name: str, pool: Candidates, n: int, seed: int) -> None:
    first, second = (registry.strategy(name)(pool, n, np.random.default_rng(seed)) for _ in range(2))
    assert len(first) == min(n, len(pool))
    assert first.indices.tolist() == second.indices.tolist()
    assert first.reasons == second.reasons
    assert first.indices.dtype == np.int64
    assert set(first.indices.tolist()) <= set(range(len(pool)))
    assert all(first.reasons)


@pytest.mark.parametrize("name", PREFIXED)
@QUICK
@given(pool=POOLS, n=st.integers(0, 12))
def test_asking_for_more_keeps_the_beginning(name: str, pool: Candidates, n: int) -> None:
    fewer, more = (registry.strategy(name)(pool, size, np.random.default_rng(1)) for size in (n, 2 * n))
    assert more.indices[: len(fewer)].tolist() == fewer.indices.tolist()


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("n_images", [1, 7, 40])
def test_a_permutation_of_the_pool_permutes_the_answer(name: str, n_images: int) -> None:
    # No two images are alike, so nothing is left to the generator but draws by content, from the same state.
    pool = random_pool(n_images, n_images)
    for seed in range(4):
        permutation = np.random.default_rng(seed).permutation(n_images)
        plain = registry.strategy(name)(pool, 5, np.random.default_rng(9))
        permuted = registry.strategy(name)(pool.take(permutation), 5, np.random.default_rng(9))
        assert permutation[permuted.indices].tolist() == plain.indices.tolist()
        assert permuted.reasons == plain.reasons
        assert permuted.scores.tolist() == pytest.approx(plain.scores.tolist())


@pytest.mark.parametrize("name", sorted(SCORES))
def test_a_ranking_without_ties_does_not_depend_on_the_generator(name: str) -> None:
    pool = random_pool(5, 12)
    first, second = (registry.strategy(name)(pool, 12, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.indices.tolist() == second.indices.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_ties_fall_to_the_generator_and_not_to_the_position(name: str) -> None:
    pool = see_all(make_pool([[0.5]] * 4))
    firsts = {int(registry.strategy(name)(pool, 1, np.random.default_rng(seed)).indices[0]) for seed in range(20)}
    assert firsts == set(range(4))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_an_empty_pool_gives_nothing(name: str, n: int) -> None:
    for pool in (make_pool([]), Candidates.without_predictions(np.zeros(0, dtype=np.int64)), random_pool(0, 0)):
        assert len(registry.strategy(name)(pool, n, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [2, 6, 9])
def test_duplicates_are_chosen_once_each(name: str, n: int) -> None:
    pool = random_pool(1, 3).take(np.array([0, 1, 2, 0, 1, 2]))
    chosen = registry.strategy(name)(pool, n, np.random.default_rng(0))
    assert len(chosen) == min(n, 6)
    assert np.isfinite(chosen.scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_labeled_set_that_covers_everything_leaves_the_pool_selectable(name: str) -> None:
    pool = random_pool(1, 6)
    assert pool.embeddings is not None
    pool = replace(pool, labeled=Labeled(np.concatenate((pool.embeddings, pool.embeddings))))
    chosen = registry.strategy(name)(pool, 4, np.random.default_rng(0))
    assert len(chosen) == 4
    assert np.isfinite(chosen.scores).all()


@pytest.mark.parametrize("name", sorted(SCORES))
def test_an_image_without_detections_is_neither_first_nor_last(name: str) -> None:
    pool = see_all(make_pool([[0.99], [], [0.5]]))
    chosen = registry.strategy(name)(pool, 3, np.random.default_rng(0))
    assert chosen.indices.tolist() == [2, 1, 0]
    assert "no box" in chosen.reasons[1]
    assert "0.04" in chosen.reasons[1]


@pytest.mark.parametrize("name", sorted(SCORES))
def test_of_two_images_without_detections_the_one_with_more_below_the_floor_comes_first(name: str) -> None:
    pool = see_all(make_pool([[], []], top_scores=[0.01, 0.03]))
    assert registry.strategy(name)(pool, 2, np.random.default_rng(0)).indices.tolist() == [1, 0]


@pytest.mark.parametrize("name", ["coreset", "typiclust", "random"])
def test_what_reads_no_detections_does_not_mind_their_absence(name: str) -> None:
    with_boxes = random_pool(2, 9)
    without = Candidates.without_predictions(with_boxes.groups, with_boxes.embeddings, with_boxes.labeled)
    chosen = registry.strategy(name)(without, 9, np.random.default_rng(0))
    assert sorted(chosen.indices.tolist()) == list(range(9))


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_number_of_images_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        registry.strategy(name)(random_pool(0, 2), -1, np.random.default_rng(0))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"random", "uncertainty_herding"}))
def test_a_strategy_names_what_it_lacks(name: str) -> None:
    nothing = Candidates.without_predictions(np.zeros(3, dtype=np.int64))
    with pytest.raises(InvalidInputError, match=f"The strategy {name} needs"):
        registry.strategy(name)(nothing, 1, np.random.default_rng(0))


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_works_with_what_it_says_it_needs(name: str) -> None:
    needs, full = registry.needs(name), random_pool(4, 8)
    bare = replace(full, review_seconds=None, labeled=None)
    if Need.EMBEDDINGS not in needs:
        bare = replace(bare, embeddings=None)
    if Need.BOX_FEATURES not in needs:
        bare = replace(bare, box_features=None)
    if Need.MIRRORED not in needs:
        bare = replace(bare, mirrored=None, boxes_xyxyn=None)
    if Need.LOCALIZATION not in needs:
        bare = replace(bare, localization_entropy=np.zeros(len(bare.box_scores)))
    if Need.SCORES not in needs:
        bare = Candidates.without_predictions(bare.groups, bare.embeddings)
    assert len(registry.strategy(name)(bare, 4, np.random.default_rng(0))) == 4


def test_needs_of_the_strategies() -> None:
    assert registry.needs("random") == registry.needs(registry.DEFAULT) == frozenset()
    assert registry.needs("flip_consistency") == {Need.SCORES, Need.MIRRORED}
    assert registry.needs("dfl_localization") == {Need.SCORES, Need.LOCALIZATION}
    assert registry.needs("ppal") == {Need.SCORES, Need.BOX_FEATURES}
    assert registry.needs("coreset") == registry.needs("typiclust") == {Need.EMBEDDINGS}


def test_the_default_is_a_strategy() -> None:
    assert registry.DEFAULT == "uncertainty_herding"
    assert len(NAMES) == 10
    assert registry.DEFAULT in NAMES


def test_scores_of_hand_made_images() -> None:
    pool = make_pool([[0.5, 0.25], [0.9, 0.5], []])
    assert entropy.score(pool).tolist() == pytest.approx([1.8113, 1.4690, 0.2423], abs=5e-5)
    assert least_confidence.score(pool).tolist() == pytest.approx([0.625, 0.3, 0.04])
    assert margin.score(pool).tolist() == pytest.approx([1.0, 1.0, 0.08])
    assert ppal.score(pool).tolist() == pytest.approx([1.8113, 1.4690, 0.2423], abs=5e-5)
    sides = replace(pool, localization_entropy=np.array([0.5, 0.2, 1.0, 0.0]))
    assert dfl_localization.score(sides).tolist() == pytest.approx([0.3, 0.9, 0.04])


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
    with pytest.raises(InvalidInputError, match=r"no query strategy 'coin'; there are coreset, .*random"):
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
