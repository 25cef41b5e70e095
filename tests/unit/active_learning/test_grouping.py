"""Clusters, medoids and class-wise similarity, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning import similarity
from active_learning.clusters import cluster_centres
from active_learning.medoids import _moved_to_middle, choose_medoids, nearest_medoid, spread_seeds
from active_learning.similarity import by_class
from active_learning.strategies import typiclust
from active_learning.strategies.typiclust import typicality

ACROSS, UP = (1.0, 0.0), (0.0, 1.0)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, np.newaxis]


def apart(*values: float) -> np.ndarray:
    return np.abs(column(*values) - column(*values).T)


def features(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_two_clusters_by_hand() -> None:
    for seed in range(5):
        found = cluster_centres(column(0, 2, 10, 12), 2, np.random.default_rng(seed))
        assert sorted(found[:, 0].tolist()) == [1.0, 11.0]
    assert cluster_centres(column(0, 2, 10, 12), 1, np.random.default_rng(0)).tolist() == [[6.0]]


def test_as_many_clusters_as_points_are_the_points() -> None:
    found = cluster_centres(column(3, 1, 2), 3, np.random.default_rng(0))
    assert sorted(found[:, 0].tolist()) == [1.0, 2.0, 3.0]


def test_a_centre_without_points_stays() -> None:
    assert cluster_centres(column(7, 7, 7), 2, np.random.default_rng(0)).tolist() == [[7.0], [7.0]]


def test_seeds_are_drawn_by_squared_distance() -> None:
    drawn = [int(spread_seeds(apart(0, 1, 3), 2, np.random.default_rng(seed))[1]) for seed in range(300)]
    assert drawn.count(0) == 0
    assert drawn.count(2) / 300 == pytest.approx(0.9, abs=0.05)


def test_seeds_are_distinct_even_where_all_points_are_the_same() -> None:
    seeds = spread_seeds(np.zeros((4, 4), dtype=np.float32), 4, np.random.default_rng(0))
    assert seeds[0] == 0
    assert sorted(seeds.tolist()) == [0, 1, 2, 3]


def test_the_distance_to_the_nearest_seed_counts() -> None:
    # With seeds at 0 and 9 the point at 8 is near one of them, the one at 4 far from both.
    thirds = [spread_seeds(apart(0, 4, 8, 9), 3, np.random.default_rng(seed)).tolist() for seed in range(60)]
    after_nine = [seeds[2] for seeds in thirds if seeds[1] == 3]
    assert after_nine.count(1) > 10 * after_nine.count(2)


def test_one_medoid_is_the_middle() -> None:
    assert choose_medoids(apart(0, 1, 3), 1, np.random.default_rng(0)).tolist() == [1]


def test_two_medoids_are_the_middles_of_two_clusters() -> None:
    found = choose_medoids(apart(0, 1, 2, 100, 101, 102), 2, np.random.default_rng(0))
    assert sorted(found.tolist()) == [1, 4]


def test_all_or_none_can_be_medoids() -> None:
    assert sorted(choose_medoids(apart(0, 1, 3), 9, np.random.default_rng(0)).tolist()) == [0, 1, 2]
    nothing = choose_medoids(apart(0, 1, 3), 0, np.random.default_rng(0))
    assert (nothing.shape, nothing.dtype) == ((0,), np.int64)


def test_of_equally_good_medoids_the_present_one_stays() -> None:
    for present in (0, 1):
        assert _moved_to_middle(apart(0, 1), np.array([present])).tolist() == [present]


def test_a_medoid_is_its_own_also_beside_a_duplicate() -> None:
    assert nearest_medoid(apart(0, 0, 5), np.array([1, 0])).tolist() == [1, 0, 0]
    assert nearest_medoid(apart(0, 4, 5), np.array([0, 2])).tolist() == [0, 1, 1]


def test_similarity_by_hand() -> None:
    # Image 0: a dent. Image 1: a dent and a scratch. Image 2: nothing.
    found = by_class(features(ACROSS, ACROSS, ACROSS), np.array([0, 0, 1]), np.ones(3), np.array([0, 1, 1]), 3)
    assert found.tolist() == [[1.0, 0.75, 0.0], [0.75, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_similarity_takes_the_best_match_and_no_negative_one() -> None:
    rows = features(ACROSS, UP, (3.0, 4.0), (-2.0, 0.0))
    found = by_class(rows, np.zeros(4, dtype=np.int64), np.ones(4), np.array([0, 1, 1, 2]), 3)
    # From 0 the best in 1 is 0.6; from 1 to 0: (0 + 0.6) / 2.
    assert found[0, 1] == pytest.approx((0.6 + 0.3) / 2)
    assert found[0, 2] == 0.0


def test_boxes_weigh_in_similarity() -> None:
    rows = features(ACROSS, ACROSS, UP)
    found = by_class(rows, np.zeros(3, dtype=np.int64), np.array([1.0, 3.0, 1.0]), np.array([0, 1, 1]), 2)
    assert found[0, 1] == pytest.approx((1.0 + 0.75) / 2)


def test_images_without_boxes_are_alike() -> None:
    found = by_class(np.zeros((0, 1), dtype=np.float32), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, int), 2)
    assert found.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_box_without_features_is_like_none_but_its_image_is_like_itself() -> None:
    rows = features((0.0, 0.0), (0.0, 0.0))
    found = by_class(rows, np.zeros(2, dtype=np.int64), np.ones(2), np.array([0, 1]), 2)
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_typicality_by_hand() -> None:
    together = np.zeros(3, dtype=np.int64)
    assert typicality(column(0, 1, 3), together).tolist() == pytest.approx([1 / 3, 0.4, 2 / 7])
    assert typicality(column(0, 9, 1), np.array([5, 2, 5])).tolist() == pytest.approx([0.5, 0.0, 0.5])
    assert typicality(column()[:, :1], together[:0]).shape == (0,)


def test_only_the_nearest_count_and_only_so_many_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typiclust, "N_NEIGHBOURS", 1)
    monkeypatch.setattr(typiclust, "MAX_COMPARED", 3)
    found = typicality(column(0, 1, 3, 3), np.zeros(4, dtype=np.int64))
    assert found.tolist() == pytest.approx([0.5, 0.5, 1 / 3, 0.0])


def test_the_least_covered_cluster_comes_first_then_the_largest() -> None:
    clusters = np.array([0] * 5 + [1] * 6 + [2] * 7 + [3] * 4)
    typical = np.linspace(0.1, 0.9, 22)
    order = typiclust._fewest_covered_first(typical, clusters, np.array([0, 0, 1, 0]))
    # One of cluster 1 (6 images), one of 0 (5), then 2 (7, one labeled), 1 and 0 again, small cluster 3 last.
    assert clusters[order[:8]].tolist() == [1, 0, 2, 1, 0, 2, 1, 0]
    assert clusters[order[-4:]].tolist() == [3, 3, 3, 3]
    assert order[:2].tolist() == [10, 4]


def test_the_last_image_alone_apart_is_the_next_seed() -> None:
    for seed in range(12):
        assert spread_seeds(apart(0, 0, 5), 2, np.random.default_rng(seed)).tolist() == [0, 2]


def test_similarity_is_the_same_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, classes = features(ACROSS, UP, (3.0, 4.0), (2.0, 1.0)), np.array([0, 0, 1, 0])
    weights, images = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])
    whole = by_class(rows, classes, weights, images, 2)
    for entries in (1, 8):
        monkeypatch.setattr(similarity, "_BLOCK_ENTRIES", entries)
        assert by_class(rows, classes, weights, images, 2) == pytest.approx(whole)


def test_twenty_neighbours_count_for_typicality() -> None:
    # From the end of a line of 30 the nearest twenty are 1 to 20 away; from the middle each side gives ten.
    places = np.random.default_rng(0).permutation(30)
    found = typicality(column(*places), np.zeros(30, dtype=np.int64))
    assert found[places == 0][0] == pytest.approx(1 / 11.5)
    assert found[places == 29][0] == pytest.approx(1 / 11.5)
    assert found[places == 15][0] == pytest.approx(1 / 6.5)


def test_clusters_without_points_change_no_typicality() -> None:
    found = typicality(column(0, 1, 10, 14), np.array([1, 1, 2, 2]))
    assert found.tolist() == pytest.approx([0.5, 0.5, 0.2, 0.2])


def test_typicality_agrees_with_sorted_distances() -> None:
    points = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    lengths = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 1:21]
    found = typicality(points, np.zeros(40, dtype=np.int64))
    assert found == pytest.approx(1 / (1 + lengths.mean(axis=1)), rel=1e-4)
