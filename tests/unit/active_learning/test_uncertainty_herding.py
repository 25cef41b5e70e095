"""The default strategy: its uncertainty by hand, what it covers, and what it does without a part of its input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning.image_uncertainty import box_uncertainty, counted_boxes, image_uncertainty, spread_evenly
from active_learning.kernels import ALIKE
from active_learning.protocol import Candidates, Labeled
from active_learning.strategies.uncertainty_herding import considered_places, count_represented, select
from tests.unit.active_learning.pools import make_pool, random_pool, see_all

# Two pairs of look-alikes and one image like no other, around a mean of zero.
EAST, WEST, NORTH = (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0)
SOUTH = (0.0, -1.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_uncertainty_of_a_box_by_hand() -> None:
    pool = replace(make_pool([[0.5, 0.25]]), localization_entropy=np.array([0.4, 0.8]))
    assert box_uncertainty(pool).tolist() == pytest.approx([1.1, 0.8113 + 0.1], abs=5e-5)
    weighed = replace(
        pool,
        box_class_scores=np.array([[0.5, 0.1], [0.1, 0.25]]),
        labeled=Labeled(class_counts=np.array([1.0, 8.0])),
    )
    assert box_uncertainty(weighed).tolist() == pytest.approx([2.2, 0.9113], abs=5e-5)


def test_a_calibrated_score_gives_the_entropy_and_the_score_itself_the_weight_of_the_sides() -> None:
    calibration = np.zeros(15)
    calibration[7] = 0.25
    pool = replace(make_pool([[0.5]]), localization_entropy=np.array([0.4]), labeled=Labeled(calibration=calibration))
    assert box_uncertainty(pool).tolist() == pytest.approx([0.8113 + 0.1], abs=5e-5)


def test_uncertainty_of_an_image_is_its_rank_among_images_with_boxes() -> None:
    pool = make_pool([[0.5], [], [0.9], [0.25], [0.5, 0.5]], top_scores=[0.5, 0.03, 0.9, 0.25, 0.5])
    assert image_uncertainty(pool).tolist() == pytest.approx([0.625, 0.03, 0.125, 0.375, 0.875])
    assert spread_evenly(np.array([5.0, 7.0, 7.0, 9.0])).tolist() == [0.125, 0.5, 0.5, 0.875]
    assert spread_evenly(np.zeros(0)).shape == (0,)


def test_an_image_without_boxes_is_neither_the_most_nor_the_least_unsure() -> None:
    scores = image_uncertainty(make_pool([[]] + [[score] for score in np.linspace(0.5, 0.999, 20)]))
    assert scores[0] == 0.04
    assert 0 < np.count_nonzero(scores < scores[0]) < 20


def test_review_time_lowers_the_rank() -> None:
    pool = make_pool([[0.5], [0.4]])
    assert image_uncertainty(pool).tolist() == [0.75, 0.25]
    assert image_uncertainty(replace(pool, review_seconds=np.array([20.0, 10.0]))).tolist() == [0.25, 0.75]


def test_redundant_boxes_and_those_beyond_five_do_not_count() -> None:
    pool = make_pool([[0.5] * 3, [0.6, 0.5]])
    assert image_uncertainty(pool).tolist() == [0.75, 0.25]
    alike = replace(pool, box_features=np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32))
    assert image_uncertainty(alike).tolist() == [0.25, 0.75]
    assert counted_boxes(alike).tolist() == [True, False, False, True, True]
    assert counted_boxes(make_pool([[0.5] * 7])).sum() == 5
    assert counted_boxes(make_pool([[0.9] * 2 + [0.5] * 5])).tolist() == [False] * 2 + [True] * 5


def test_without_a_model_all_images_are_equally_unsure() -> None:
    assert image_uncertainty(Candidates.without_predictions(np.zeros(3, dtype=np.int64))).tolist() == [1.0, 1.0, 1.0]


def test_what_is_covered_counts_no_more() -> None:
    # U is 7/8 and 5/8 for two images that are the same, 3/8 and 1/8 for two others.
    pool = see_all(make_pool([[0.5], [0.6], [0.7], [0.8]]), [EAST, EAST, NORTH, (-2.0, -1.0)])
    pool = replace(pool, localization_entropy=np.zeros(4), box_features=None)
    chosen = select(pool, 4, rng())
    assert chosen.indices[0] == 0
    # 7/8 + 5/8, and of the others by a radius of 1.443: 3/8 x 0.383 and 1/8 x 0.162.
    assert chosen.scores[0] == pytest.approx(1.664, abs=5e-4)
    assert chosen.indices.tolist()[-1] == 1
    assert chosen.scores[-1] == 0.0
    assert chosen.probabilities is None


def test_gains_by_hand() -> None:
    pool = see_all(make_pool([[0.5], [0.9]]), [EAST, WEST])
    # Both are at distance 2, the radius too: each covers 1 / e of the other.
    chosen = select(pool, 2, rng())
    assert chosen.indices.tolist() == [0, 1]
    assert chosen.scores.tolist() == pytest.approx([0.75 + 0.25 * np.exp(-1), 0.25 * (1 - np.exp(-1))])


def test_images_like_a_labeled_one_come_last() -> None:
    groups = np.arange(3)
    embeddings = np.array([EAST, WEST, NORTH], dtype=np.float32)
    labeled = Labeled(np.array([EAST, NORTH], dtype=np.float32))
    chosen = select(Candidates.without_predictions(groups, embeddings, labeled), 3, rng())
    assert chosen.indices[0] == 1
    assert chosen.scores.tolist()[1:] == [0.0, 0.0]
    assert chosen.reasons[0].startswith("unlike anything labeled")
    assert chosen.reasons[1].startswith("like a labeled image")


def test_an_image_that_stands_for_many_comes_first_where_no_model_has_spoken() -> None:
    near_east = [(1.0, 0.01 * i) for i in range(-2, 3)]
    embeddings = np.array([(-2.5, 2.0), (-2.5, -2.0), *near_east], dtype=np.float32)
    chosen = select(Candidates.without_predictions(np.arange(7), embeddings), 3, rng())
    assert 2 <= chosen.indices[0] <= 6
    assert set(chosen.indices[1:].tolist()) == {0, 1}
    assert chosen.reasons[0] == "stands for four images like it"
    assert chosen.reasons[1] == "like no other candidate"


def test_without_embeddings_images_are_ranked_by_uncertainty() -> None:
    chosen = select(make_pool([[0.9], [], [0.5]]), 3, rng())
    assert chosen.indices.tolist() == [2, 0, 1]
    assert chosen.scores.tolist() == [0.75, 0.25, 0.04]
    assert chosen.reasons == (
        "one box near 0.5",
        "one box, the least sure at 0.90",
        "no box, highest score 0.04",
    )


def test_with_neither_a_model_nor_embeddings_the_order_is_random() -> None:
    pool = Candidates.without_predictions(np.arange(4))
    firsts = {int(select(pool, 1, np.random.default_rng(seed)).indices[0]) for seed in range(40)}
    assert firsts == {0, 1, 2, 3}
    assert select(pool, 1, rng()).reasons == ("no model and no embedding tells images apart",)


def test_reasons_join_what_the_model_says_and_what_is_labeled() -> None:
    pool = see_all(make_pool([[0.5, 0.4], [0.9]]), [EAST, WEST], Labeled(np.array([WEST], dtype=np.float32)))
    pool = replace(pool, box_features=None)
    assert select(pool, 1, rng()).reasons == ("two boxes near 0.5, unlike anything labeled, like no other candidate",)


@pytest.mark.parametrize(
    ("n_images", "n", "n_first", "n_all"),
    [(1_000, 2, 100, 110), (100, 2, 100, 100), (105, 2, 100, 105), (0, 3, 0, 0), (20_000, 300, 10_000, 11_000)],
)
def test_candidates_are_the_most_unsure_and_a_tenth_more_at_random(
    n_images: int, n: int, n_first: int, n_all: int
) -> None:
    places = considered_places(n_images, n, rng())
    assert len(places) == n_all
    assert places[:n_first].tolist() == list(range(n_first))
    assert (np.diff(places) > 0).all()
    assert not n_all or places[-1] < n_images


def test_without_a_model_all_that_fit_are_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("active_learning.strategies.uncertainty_herding.CANDIDATES_PER_IMAGE", 1)
    # One candidate could not know that three images lie in the east.
    embeddings = np.array([NORTH, WEST, EAST, EAST, EAST], dtype=np.float32)
    pool = Candidates.without_predictions(np.arange(5), embeddings)
    for seed in range(5):
        assert select(pool, 1, np.random.default_rng(seed)).indices[0] in {2, 3, 4}


def test_without_a_model_two_hundred_images_are_candidates_and_with_one_fifty_and_a_tenth_more() -> None:
    # All are the same image, so the first choice covers every candidate: 200 of U = 1, or 55 of U = 0.5.
    same = np.ones((200, 2), dtype=np.float32)
    assert select(Candidates.without_predictions(np.arange(200), same), 1, rng()).scores.tolist() == [200.0]
    scored = replace(make_pool([[0.5]] * 200), embeddings=same)
    assert select(scored, 1, rng()).scores.tolist() == pytest.approx([27.5])


def test_images_beyond_the_candidates_follow_by_uncertainty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("active_learning.strategies.uncertainty_herding.MAX_CANDIDATES", 3)
    pool = random_pool(6, 9)
    chosen, unsure = select(pool, 7, rng()), image_uncertainty(pool)
    assert chosen.scores[3:].tolist() == [0.0] * 4
    assert (np.diff(unsure[chosen.indices[3:]]) <= 0).all()
    assert set(chosen.indices[:3].tolist()) == set(np.argsort(-unsure)[:3].tolist())


def test_an_image_is_represented_by_the_chosen_one_most_like_it() -> None:
    kernel = np.array([[1, 0.2, 0.9, 0.3], [0.2, 1, 0.5, 0.5], [0.9, 0.5, 1, 0], [0.3, 0.5, 0, 1]], dtype=np.float32)
    nothing = np.zeros(4, dtype=np.float32)
    assert count_represented(kernel, nothing, np.array([0, 1])).tolist() == [1, 1]
    assert count_represented(kernel, np.array([0, 0, 0.95, 0.4], dtype=np.float32), np.array([0, 1])).tolist() == [0, 1]
    assert count_represented(kernel, nothing, np.array([0])).tolist() == [1]
    # Just as like a labeled image does not count; just at the kernel's radius does.
    assert count_represented(kernel, np.array([0, 0, 0.9, 0], dtype=np.float32), np.array([0])).tolist() == [0]
    at_radius = np.array([[1, ALIKE], [ALIKE, 1]], dtype=np.float32)
    assert count_represented(at_radius, nothing[:2], np.array([0])).tolist() == [1]
    assert count_represented(kernel, nothing, np.zeros(0, dtype=np.int64)).tolist() == []
