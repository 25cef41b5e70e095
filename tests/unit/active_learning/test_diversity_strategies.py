"""Strategies that compare images: what each chooses, by hand, and why it says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning.protocol import Candidates, Labeled
from active_learning.strategies import coreset, dfl_localization, ppal, typiclust
from tests.unit.active_learning.pools import make_pool

EAST, WEST, NORTH, SOUTH = (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pool_of(*embeddings: tuple[float, ...], labeled: list[tuple[float, ...]] | None = None) -> Candidates:
    known = (
        None
        if labeled is None
        else Labeled(np.array(labeled, dtype=np.float32).reshape(len(labeled), -1 if labeled else 0))
    )
    return Candidates.without_predictions(np.arange(len(embeddings)), np.array(embeddings, dtype=np.float32), known)


def test_coreset_goes_to_the_farthest() -> None:
    # The mean is (0, 0): unit vectors stay what they are.
    chosen = coreset.select(pool_of(EAST, NORTH, WEST, SOUTH, labeled=[EAST]), 4, rng())
    assert chosen.indices[0] == 2
    assert set(chosen.indices[1:3].tolist()) == {1, 3}
    assert chosen.indices[3] == 0
    assert chosen.scores.tolist() == pytest.approx([2.0, 1.4142, 1.4142, 0.0], abs=1e-4)
    assert chosen.reasons[0] == "distance 2.00 to the nearest labeled or chosen image"
    assert chosen.probabilities is None


def test_coreset_begins_in_the_middle_where_nothing_is_labeled() -> None:
    chosen = coreset.select(pool_of(EAST, (2.0, 0.1), (2.0, -0.1), WEST, WEST, WEST), 2, rng())
    assert chosen.reasons[0] == "the most central image of the pool"
    assert chosen.scores[0] == 0.0
    assert len(coreset.select(pool_of(EAST, WEST, labeled=[]), 1, rng())) == 1


def test_typiclust_takes_the_densest_image_of_the_cluster_without_labels() -> None:
    east = [(5.0, 0.5 * i) for i in range(-3, 4)]
    west = [(-5.0, 0.5 * i) for i in range(-3, 4)]
    pool = pool_of(*east, *west, labeled=[east[3]])
    for seed in range(4):
        chosen = typiclust.select(pool, 1, np.random.default_rng(seed))
        assert chosen.indices.tolist() == [10]
        assert chosen.reasons == ("typical of 7 images like it, none of them labeled",)


def test_typiclust_takes_one_of_each_cluster_before_a_second() -> None:
    rows = [(x, y) for x in (5.0, -5.0) for y in (-0.2, -0.1, 0.0, 0.1, 0.2)]
    chosen = typiclust.select(pool_of(*rows), 2, rng())
    assert sorted(chosen.indices.tolist()) == [2, 7]


def test_typiclust_tells_how_many_are_labeled() -> None:
    assert typiclust._reason(12, 0) == "typical of 12 images like it, none of them labeled"
    assert typiclust._reason(12, 1) == "typical of 12 images like it, one of them labeled"
    assert typiclust._reason(1, 2) == "typical of one image like it, two of them labeled"


def ppal_pool(boxes: list[list[float]], features: list[tuple[float, ...]], **more: object) -> Candidates:
    pool = replace(make_pool(boxes), box_features=np.array(features, dtype=np.float32).reshape(len(features), -1))
    return replace(pool, **more)  # type: ignore[arg-type]


def test_ppal_takes_unlike_images_of_the_most_unsure() -> None:
    boxes = [[0.5], [0.49], [0.48], [0.47]] + [[0.99]] * 6
    pool = ppal_pool(boxes, [EAST, EAST, EAST, NORTH] + [SOUTH] * 6)
    for seed in range(4):
        # Eight candidates: three that look east, one north, four of the sure ones.
        chosen = ppal.select(pool, 2, np.random.default_rng(seed))
        assert len(set(chosen.indices.tolist())) == 2
        kinds = {"east" if i < 3 else "north" if i == 3 else "south" for i in chosen.indices.tolist()}
        assert len(kinds) == 2
        assert (np.diff(chosen.scores) <= 0).all()


def test_ppal_considers_four_for_each_wanted_image() -> None:
    pool = ppal_pool([[0.5], [0.45], [0.4], [0.35], [0.01]], [EAST, EAST, EAST, EAST, EAST])
    firsts = {int(ppal.select(pool, 1, np.random.default_rng(seed)).indices[0]) for seed in range(20)}
    assert firsts == {0}
    unlike = ppal_pool([[0.5], [0.45], [0.4], [0.35], [0.3]], [EAST, NORTH, NORTH, NORTH, NORTH])
    assert ppal.select(unlike, 1, rng()).indices.tolist() == [1]
    assert ppal.select(unlike, 1, rng()).reasons == ("one box near 0.5, stands for three images like it",)


def test_ppal_follows_its_ranking_beyond_what_it_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppal, "MAX_CANDIDATES", 2)
    pool = ppal_pool([[0.3], [0.5], [0.4], [0.45], [0.2]], [EAST, NORTH, EAST, NORTH, EAST])
    chosen = ppal.select(pool, 4, rng())
    assert chosen.indices.tolist() == [1, 3, 2, 0]
    assert chosen.reasons[2] == "one box near 0.5"
    assert ppal.select(pool, 2, rng()).indices.tolist() == [1, 3]


def test_ppal_weighs_rare_classes() -> None:
    pool = replace(make_pool([[0.5, 0.25], [0.5]]), box_class_scores=np.array([[0.1, 0.5], [0.0, 0.25], [0.5, 0.0]]))
    pool = replace(pool, labeled=Labeled(class_counts=np.array([80.0, 10.0])))
    assert ppal.score(pool).tolist() == pytest.approx([3.6226, 1.0], abs=5e-5)


def test_ppal_chooses_few_of_many_images_without_boxes() -> None:
    pool = ppal_pool([[], [], [], [0.5], [0.4]], [EAST, NORTH])
    chosen = ppal.select(pool, 3, rng())
    assert np.count_nonzero(chosen.indices < 3) == 1
    assert any("no box, highest score 0.04" in reason for reason in chosen.reasons)


def test_dfl_localization_says_how_unsure_the_sides_are() -> None:
    pool = replace(make_pool([[0.8, 0.5]]), localization_entropy=np.array([0.5, 0.2]))
    chosen = dfl_localization.select(pool, 1, rng())
    assert chosen.scores.tolist() == pytest.approx([0.5])
    assert chosen.reasons == ("sides of two boxes unsure, up to 0.50 of 1",)


def test_only_five_boxes_of_unsure_sides_count() -> None:
    pool = replace(make_pool([[0.5] * 7]), localization_entropy=np.full(7, 0.5))
    assert dfl_localization.score(pool).tolist() == pytest.approx([1.25])


def test_ppal_compares_images_by_the_boxes_it_believes_most() -> None:
    pool = ppal_pool([[0.9, 0.1], [0.5]], [EAST, NORTH, EAST])
    pool = replace(pool, box_class_scores=np.array([[0.9, 0.0], [0.0, 0.1], [0.5, 0.0]]))
    # To the second image: 0.9 of 1 is found again; back: all of it.
    assert ppal._similarity(pool)[0, 1] == pytest.approx(0.95)
