"""What a pool and a selection refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from active_learning.protocol import Candidates, Labeled, MirroredView, Selection
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import WHOLE_IMAGE, make_pool, random_pool


def test_an_empty_pool_is_a_pool() -> None:
    assert len(make_pool([])) == 0


def test_a_pool_without_predictions_has_no_boxes() -> None:
    pool = Candidates.without_predictions(np.array([4, 4, 9]))
    assert len(pool) == 3
    assert pool.offsets.tolist() == [0, 0, 0, 0]
    assert pool.top_scores.tolist() == [0.0, 0.0, 0.0]
    assert not pool.has_predictions


def test_a_pool_in_which_no_box_was_found_has_predictions() -> None:
    assert make_pool([[], []]).has_predictions


def test_a_pool_without_predictions_keeps_what_else_is_known() -> None:
    embeddings, labeled = np.ones((2, 3), dtype=np.float32), Labeled(np.ones((1, 3), dtype=np.float32), np.ones(8))
    pool = Candidates.without_predictions(np.array([0, 1]), embeddings, labeled)
    assert pool.embeddings is embeddings
    assert pool.labeled is labeled


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("box_scores", np.array([0.5, np.nan])),
        ("top_scores", np.array([0.5, np.inf])),
        ("box_scores", np.array([0.5, 1.5])),
        ("box_class_scores", np.array([0.5, 0.5])),
        ("localization_entropy", np.array([0.5])),
        ("groups", np.array([1])),
        ("offsets", np.array([0, 2])),
        ("offsets", np.array([0, 3, 2])),
        ("offsets", np.array([1, 1, 2])),
        ("embeddings", np.ones((3, 4))),
        ("embeddings", np.full((2, 4), np.nan)),
        ("box_features", np.ones((3, 4))),
        ("box_features", np.array([[1.0], [np.inf]])),
        ("boxes_xyxyn", np.ones((2, 3))),
        ("boxes_xyxyn", np.array([[0.0, 0.0, 1.0, 1.1], WHOLE_IMAGE])),
        ("boxes_xyxyn", np.array([[0.5, 0.0, 0.4, 1.0], WHOLE_IMAGE])),
        ("boxes_xyxyn", np.array([[0.0, 0.5, 1.0, 0.4], WHOLE_IMAGE])),
        ("review_seconds", np.array([6.0])),
        ("review_seconds", np.array([6.0, 0.0])),
        ("review_seconds", np.array([6.0, np.nan])),
    ],
)
def test_a_pool_refuses_arrays_that_cannot_be_true(field: str, values: np.ndarray) -> None:
    pool = make_pool([[0.5], [0.6]])
    with pytest.raises(InvalidInputError, match=field):
        replace(pool, **{field: values})


def test_a_box_without_area_is_a_box() -> None:
    pool = replace(make_pool([[0.5]]), boxes_xyxyn=np.array([[0.5, 0.5, 0.5, 0.5]]))
    assert pool.boxes_xyxyn is not None


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ({"mirrored": MirroredView(np.array([0, 0]), np.zeros((0, 4)), np.zeros((0, 1)))}, "mirrored offsets"),
        ({"mirrored": MirroredView(np.array([0, 1, 1]), np.zeros((1, 4)), np.zeros((1, 2)))}, "mirrored class_scores"),
        ({"labeled": Labeled(class_counts=np.ones(2))}, "class_counts"),
        (
            {"embeddings": np.ones((2, 3), dtype=np.float32), "labeled": Labeled(np.ones((5, 4), dtype=np.float32))},
            "labeled embeddings",
        ),
    ],
)
def test_a_pool_refuses_parts_that_do_not_fit_each_other(part: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInputError, match=word):
        replace(make_pool([[0.5], [0.6]]), **part)


def test_without_any_box_the_number_of_classes_is_not_known() -> None:
    mirrored = MirroredView(np.array([0, 1]), np.zeros((1, 4)), np.zeros((1, 8)))
    pool = replace(make_pool([[]]), labeled=Labeled(class_counts=np.ones(8)), mirrored=mirrored)
    assert len(pool) == 1


@pytest.mark.parametrize(
    ("offsets", "boxes", "class_scores"),
    [
        ([0, 2], [WHOLE_IMAGE], [[0.5]]),
        ([0, 1], [(0.5, 0.0, 0.4, 1.0)], [[0.5]]),
        ([0, 1], [WHOLE_IMAGE], [[0.5], [0.5]]),
        ([0, 1], [WHOLE_IMAGE], [[1.5]]),
        ([0, 1], [WHOLE_IMAGE], [[np.nan]]),
    ],
)
def test_a_mirrored_view_refuses_what_cannot_be_true(
    offsets: list[int], boxes: list[tuple[float, ...]], class_scores: list[list[float]]
) -> None:
    with pytest.raises(InvalidInputError):
        MirroredView(np.array(offsets), np.array(boxes), np.array(class_scores))


@pytest.mark.parametrize(
    "values",
    [
        {"embeddings": np.ones(3)},
        {"embeddings": np.full((1, 2), np.nan)},
        {"class_counts": np.ones((2, 2))},
        {"class_counts": np.array([1.0, -1.0])},
        {"class_counts": np.array([1.0, np.inf])},
        {"calibration": np.zeros(14)},
        {"calibration": np.full(15, 1.5)},
    ],
)
def test_what_is_labeled_refuses_what_cannot_be_true(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Labeled(**values)


def test_nothing_is_labeled_in_a_class() -> None:
    assert Labeled(class_counts=np.array([0.0, 3.0])).class_counts is not None


def test_taking_images_takes_all_that_is_known_of_them() -> None:
    pool, order = random_pool(3, 9), np.array([4, 0, 7])
    taken = pool.take(order)
    assert pool.embeddings is not None
    assert taken.embeddings is not None
    assert taken.embeddings.tolist() == pool.embeddings[order].tolist()
    assert pool.review_seconds is not None
    assert taken.review_seconds is not None
    assert taken.review_seconds.tolist() == pool.review_seconds[order].tolist()
    assert taken.labeled is pool.labeled
    for place, image in enumerate(order):
        assert _boxes_of(taken, place) == _boxes_of(pool, int(image))


def test_taking_images_leaves_unknown_what_is_not_known() -> None:
    taken = make_pool([[0.5], []]).take(np.array([1]))
    assert taken.embeddings is taken.box_features is taken.boxes_xyxyn is taken.mirrored is taken.review_seconds is None


def _boxes_of(pool: Candidates, image: int) -> list[Any]:
    boxes, view = slice(pool.offsets[image], pool.offsets[image + 1]), pool.mirrored
    assert view is not None
    mirrored = slice(view.offsets[image], view.offsets[image + 1])
    own = (pool.box_class_scores, pool.localization_entropy, pool.box_features, pool.boxes_xyxyn)
    seen = [np.asarray(values)[boxes].tolist() for values in own]
    return seen + [values[mirrored].tolist() for values in (view.boxes_xyxyn, view.class_scores)]


def test_taking_images_takes_their_boxes() -> None:
    taken = make_pool([[0.1, 0.2], [], [0.3]], groups=[7, 8, 9]).take(np.array([2, 1, 0]))
    assert taken.offsets.tolist() == [0, 1, 1, 3]
    assert taken.box_scores.tolist() == [0.3, 0.1, 0.2]
    assert taken.groups.tolist() == [9, 8, 7]
    assert taken.top_scores.tolist() == [0.3, 0.04, 0.2]


@pytest.mark.parametrize(
    ("indices", "probabilities", "scores"),
    [
        ([1, 1], [0.5, 0.5], [0.0, 0.0]),
        ([1, 2], [0.5, 0.0], [0.0, 0.0]),
        ([1, 2], [0.5, np.nan], [0.0, 0.0]),
        ([1, 2], None, [0.0, np.nan]),
        ([1], None, [0.0]),
    ],
)
def test_a_selection_refuses_what_cannot_be_true(
    indices: list[int], probabilities: list[float] | None, scores: list[float]
) -> None:
    known = None if probabilities is None else np.array(probabilities)
    with pytest.raises(InvalidInputError):
        Selection(np.array(indices), known, np.array(scores), ("a", "b"))
