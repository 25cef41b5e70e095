"""What a pool and a selection refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning.protocol import Candidates, Selection
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import make_pool


def test_an_empty_pool_is_a_pool() -> None:
    assert len(make_pool([])) == 0


def test_a_pool_without_predictions_has_no_boxes() -> None:
    pool = Candidates.without_predictions(np.array([4, 4, 9]))
    assert len(pool) == 3
    assert pool.offsets.tolist() == [0, 0, 0, 0]


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
    ],
)
def test_a_pool_refuses_arrays_that_cannot_be_true(field: str, values: np.ndarray) -> None:
    pool = make_pool([[0.5], [0.6]])
    with pytest.raises(InvalidInputError, match=field):
        replace(pool, **{field: values})


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
