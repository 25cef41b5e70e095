"""Why an image was chosen, word for word: annotators read these sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning.kernels import ALIKE
from active_learning.protocol import Candidates, Labeled
from active_learning.strategies import (
    dfl_localization,
    flip_consistency,
    least_confidence,
    margin,
    typiclust,
    uncertainty_herding,
)
from tests.unit.active_learning.pools import make_pool, see_all


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([0.5], "mean confidence 0.50 over one box"),
        ([0.9, 0.5], "mean confidence 0.70 over two boxes"),
        ([], "no box, highest score 0.04"),
    ],
)
def test_least_confidence_tells_the_mean_and_of_how_many_boxes(boxes: list[float], reason: str) -> None:
    # The image beside it keeps the boxes of one from being those of all.
    chosen = least_confidence.select(make_pool([boxes, [1.0]]), 1, rng())
    assert chosen.reasons == (reason,)


@pytest.mark.parametrize(
    ("class_scores", "reason"),
    [
        ([[0.9, 0.85]], "two classes close: 0.90 and 0.85"),
        ([[0.9, 0.05]], "damage or not: 0.90 against 0.10"),
        ([[0.75, 0.25]], "damage or not: 0.75 against 0.25"),
        ([[0.99, 0.0], [0.5, 0.25]], "damage or not: 0.50 against 0.50"),
    ],
)
def test_margin_tells_between_what_it_was_close(class_scores: list[list[float]], reason: str) -> None:
    pool = replace(make_pool([[1.0], [row[0] for row in class_scores]]), groups=np.array([0, 1]))
    scores = np.array([[1.0, 0.0], *class_scores])
    chosen = margin.select(replace(pool, box_class_scores=scores), 1, rng())
    assert (chosen.indices.tolist(), chosen.reasons) == ([1], (reason,))


def test_dfl_localization_speaks_of_one_box() -> None:
    pool = replace(make_pool([[0.5], [0.5]]), localization_entropy=np.array([0.25, 0.0]))
    reasons = dfl_localization.select(pool, 2, rng()).reasons
    assert reasons == ("sides of one box unsure, up to 0.25 of 1", "sides of one box unsure, up to 0.00 of 1")


def test_typiclust_tells_of_the_cluster_how_much_is_labeled() -> None:
    # All are the same, so all fall into one cluster.
    embeddings = np.ones((6, 2), dtype=np.float32)
    pool = Candidates.without_predictions(np.arange(6), embeddings, Labeled(embeddings[:2]))
    assert typiclust.select(pool, 1, rng()).reasons == ("typical of 6 images like it, two of them labeled",)


def test_each_image_speaks_of_its_own_boxes_only() -> None:
    chosen = uncertainty_herding.select(make_pool([[0.5], [0.45]]), 2, rng())
    assert chosen.indices.tolist() == [0, 1]
    assert chosen.reasons == ("one box near 0.5", "one box near 0.5")


def test_remarks_are_joined_where_no_model_has_spoken() -> None:
    embeddings = np.array([(1.0, 0.0), (-1.0, 0.0)], dtype=np.float32)
    pool = Candidates.without_predictions(np.arange(2), embeddings, Labeled(embeddings[:1]))
    assert uncertainty_herding.select(pool, 1, rng()).reasons == ("unlike anything labeled, like no other candidate",)


def test_an_image_just_at_the_radius_of_a_labeled_one_is_like_it() -> None:
    assert uncertainty_herding._remarks(ALIKE, True, 1) == ["like a labeled image", "stands for one image like it"]
    assert uncertainty_herding._remarks(0.99 * ALIKE, True, 0) == ["unlike anything labeled", "like no other candidate"]
    assert uncertainty_herding._remarks(1.0, False, 2) == ["stands for two images like it"]


def test_what_has_no_agreement_says_so() -> None:
    pool = see_all(make_pool([[0.5], []]))
    assert flip_consistency.select(pool, 2, rng()).reasons == (
        "agreement with the mirrored view 1.50 of 2 for one box",
        "no box in this view, highest score 0.04",
    )
