"""Which boxes count, how much, and in which words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning import redundancy
from active_learning.ordering import shuffled_by_content
from active_learning.protocol import Candidates, Labeled
from active_learning.reasons import counted, no_box, stands_for, unsure_boxes
from active_learning.redundancy import cosines, is_distinct
from active_learning.weights import box_classes, box_weights, class_weights, per_review_time
from tests.unit.active_learning.pools import make_pool, random_pool

FEATURES = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
ONE_CLASS = np.zeros(3, dtype=np.int64)
ONE_IMAGE = np.array([0, 3])


def test_a_box_like_a_better_one_of_its_class_and_image_is_redundant() -> None:
    assert is_distinct(np.array([3.0, 2.0, 1.0]), ONE_CLASS, ONE_IMAGE, FEATURES).tolist() == [True, False, True]
    assert is_distinct(np.array([2.0, 3.0, 1.0]), ONE_CLASS, ONE_IMAGE, FEATURES).tolist() == [False, True, True]


def test_boxes_of_other_classes_or_images_are_never_redundant() -> None:
    values = np.array([3.0, 2.0, 1.0])
    assert is_distinct(values, np.array([0, 1, 0]), ONE_IMAGE, FEATURES).all()
    assert is_distinct(values, ONE_CLASS, np.array([0, 1, 1, 3]), FEATURES).all()


def test_boxes_of_two_images_and_classes_are_compared_within_each() -> None:
    features = np.tile(FEATURES[:1], (6, 1))
    classes, offsets = np.array([1, 0, 1, 0, 0, 1]), np.array([0, 3, 6])
    found = is_distinct(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), classes, offsets, features)
    assert found.tolist() == [False, True, True, False, True, True]


def test_a_cosine_of_just_one_half_is_no_redundancy() -> None:
    at_sixty_degrees = np.array([[2, 0], [1, np.sqrt(3)]], dtype=np.float32)
    values, classes, offsets = np.array([2.0, 1.0]), np.zeros(2, dtype=np.int64), np.array([0, 2])
    assert cosines(at_sixty_degrees, np.array([0]), np.array([1]))[0] == pytest.approx(0.5)
    assert is_distinct(values, classes, offsets, np.array([[2, 0], [0.99, np.sqrt(3)]], dtype=np.float32)).all()
    nearer = np.array([[2, 0], [1.01, np.sqrt(3)]], dtype=np.float32)
    assert is_distinct(values, classes, offsets, nearer).tolist() == [True, False]
    exactly = np.array([[1, 0, 0, 0], [1, 1, 1, 1]], dtype=np.float32)
    assert is_distinct(values, classes, offsets, exactly).all()


def test_a_dropped_box_drops_no_other() -> None:
    # 0, 50 and 100 degrees: the second is like both, but only the first is kept before it.
    turned = np.radians([0.0, 50.0, 100.0])
    features = np.column_stack((np.cos(turned), np.sin(turned))).astype(np.float32)
    assert is_distinct(np.array([3.0, 2.0, 1.0]), ONE_CLASS, ONE_IMAGE, features).tolist() == [True, False, True]


def test_no_more_boxes_of_a_class_are_kept_than_count() -> None:
    unlike = np.eye(7, dtype=np.float32)
    kept = is_distinct(np.arange(7.0), np.zeros(7, dtype=np.int64), np.array([0, 7]), unlike)
    assert kept.tolist() == [False, False, True, True, True, True, True]
    assert is_distinct(np.arange(7.0), np.zeros(7, dtype=np.int64), np.array([0, 7]), unlike, k=1).sum() == 1


def test_boxes_without_features_are_like_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redundancy, "_BLOCK", 2)
    features = np.array([[0, 0], [0, 3], [0, 4], [3, 4]], dtype=np.float32)
    found = cosines(features, np.array([0, 1, 1]), np.array([1, 2, 3]))
    assert found.tolist() == pytest.approx([0.0, 1.0, 0.8])
    assert found.dtype == np.float32
    assert is_distinct(np.zeros(0), ONE_CLASS[:0], np.array([0, 0]), features[:0]).shape == (0,)


def test_rare_classes_weigh_more() -> None:
    assert class_weights(np.array([80.0, 10.0, 0.0])).tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert class_weights(np.array([270.0, 10.0, 9.0])).tolist() == pytest.approx([1.0, 3.0, 3.0])
    assert class_weights(np.array([1.0, 0.5])).tolist() == pytest.approx([1.0, 1.2599], abs=1e-4)


def test_without_labels_all_classes_weigh_one() -> None:
    assert class_weights(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]
    assert class_weights(np.zeros(0)).shape == (0,)


def test_a_box_weighs_what_its_best_class_weighs() -> None:
    pool = make_pool([[0.5], [], [0.6, 0.7]])
    assert box_weights(pool).tolist() == [1.0, 1.0, 1.0]
    assert box_weights(replace(pool, labeled=Labeled())).tolist() == [1.0, 1.0, 1.0]
    scores = np.array([[0.5, 0.1], [0.1, 0.6], [0.7, 0.7]])
    pool = replace(pool, box_class_scores=scores, labeled=Labeled(class_counts=np.array([8.0, 1.0])))
    assert box_classes(pool).tolist() == [0, 1, 0]
    assert box_weights(pool).tolist() == pytest.approx([1.0, 2.0, 1.0])


def test_without_any_box_there_are_no_weights() -> None:
    assert box_classes(Candidates.without_predictions(np.arange(2))).shape == (0,)
    assert box_weights(replace(make_pool([[]]), labeled=Labeled(class_counts=np.ones(8)))).shape == (0,)


def test_uncertainty_per_review_time() -> None:
    assert per_review_time(np.array([6.0, 4.0]), np.array([9.0, 4.0])).tolist() == [2.0, 2.0]
    assert per_review_time(np.array([6.0]), None).tolist() == [6.0]


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], "no box, highest score 0.04"),
        ([0.3], "one box near 0.5"),
        ([0.7, 0.95], "one box near 0.5"),
        ([0.29, 0.75], "two boxes, the least sure at 0.29"),
        ([0.5] * 6, "6 boxes near 0.5"),
    ],
)
def test_boxes_in_words(scores: list[float], words: str) -> None:
    assert unsure_boxes(np.array(scores), 0.04) == words


def test_numbers_in_words() -> None:
    assert counted(0, "box", "boxes") == "no boxes"
    assert counted(5, "box", "boxes") == "five boxes"
    assert no_box(0.126) == "no box, highest score 0.13"
    assert stands_for(1) == "stands for one image like it"
    assert stands_for(12) == "stands for 12 images like it"


def test_an_order_by_content_is_the_same_for_the_same_images_elsewhere() -> None:
    pool, permutation = random_pool(8, 20), np.random.default_rng(1).permutation(20)
    plain = shuffled_by_content(pool, np.random.default_rng(5))
    permuted = shuffled_by_content(pool.take(permutation), np.random.default_rng(5))
    assert permutation[permuted].tolist() == plain.tolist()
    assert sorted(plain.tolist()) == list(range(20))
    assert plain.tolist() != shuffled_by_content(pool, np.random.default_rng(6)).tolist()


@pytest.mark.parametrize("column", [0, 1, 2])
def test_any_difference_in_embeddings_orders_images(column: int) -> None:
    embeddings = np.zeros((6, 3), dtype=np.float32)
    embeddings[:, column] = range(6)
    pool, turned = make_pool([[]] * 6), np.arange(5, -1, -1)
    pool = replace(pool, embeddings=embeddings)
    plain = shuffled_by_content(pool, np.random.default_rng(5))
    assert turned[shuffled_by_content(pool.take(turned), np.random.default_rng(5))].tolist() == plain.tolist()


def test_top_scores_order_images_that_have_no_embedding() -> None:
    pool, turned = make_pool([[]] * 5, top_scores=[0.01, 0.02, 0.03, 0.04, 0.05]), np.arange(4, -1, -1)
    plain = shuffled_by_content(pool, np.random.default_rng(5))
    assert turned[shuffled_by_content(pool.take(turned), np.random.default_rng(5))].tolist() == plain.tolist()


@pytest.mark.parametrize(
    "row", [(0.0, 0.0, 1.0, -1.0), (0.0, 1.0, 0.0, -1.0), (1.0, 0.0, -1.0, 0.0), (1.0, 0.0, 0.0, 0.0)]
)
def test_first_last_or_sum_of_an_embedding_is_enough_to_order_images(row: tuple[float, ...]) -> None:
    embeddings = np.outer(np.arange(6.0), row).astype(np.float32)
    pool, turned = replace(make_pool([[]] * 6), embeddings=embeddings), np.arange(5, -1, -1)
    plain = shuffled_by_content(pool, np.random.default_rng(5))
    assert turned[shuffled_by_content(pool.take(turned), np.random.default_rng(5))].tolist() == plain.tolist()


def test_top_scores_order_images_of_the_same_embedding() -> None:
    pool, turned = make_pool([[]] * 5, top_scores=[0.01, 0.02, 0.03, 0.04, 0.05]), np.arange(4, -1, -1)
    pool = replace(pool, embeddings=np.ones((5, 2), dtype=np.float32))
    plain = shuffled_by_content(pool, np.random.default_rng(5))
    assert turned[shuffled_by_content(pool.take(turned), np.random.default_rng(5))].tolist() == plain.tolist()
