"""How two views agree, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning import consistency
from active_learning.consistency import best_partners, divergence, overlaps, with_background
from active_learning.protocol import MirroredView
from active_learning.strategies import flip_consistency
from tests.unit.active_learning.pools import WHOLE_IMAGE, make_pool, random_pool, see_all

LEFT_HALF, RIGHT_HALF = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def test_overlaps_by_hand() -> None:
    left = np.array([(0.0, 0.0, 0.4, 1.0), WHOLE_IMAGE, LEFT_HALF, (0.2, 0.2, 0.2, 0.2), (0, 0, 0.5, 0.5)])
    right = np.array([(0.2, 0.0, 0.6, 1.0), LEFT_HALF, RIGHT_HALF, (0.2, 0.2, 0.2, 0.2), (0.6, 0.6, 1, 1)])
    assert overlaps(left, right).tolist() == pytest.approx([1 / 3, 0.5, 0.0, 0.0, 0.0])


def test_class_scores_with_background_by_hand() -> None:
    found = with_background(np.array([[0.6, 0.2], [0.0, 0.0], [1.0, 1.0]]))
    assert found[0].tolist() == pytest.approx([0.5, 1 / 6, 1 / 3])
    assert found[1].tolist() == [0.0, 0.0, 1.0]
    assert found[2].tolist() == [0.5, 0.5, 0.0]


def test_divergence_by_hand() -> None:
    left, right = np.array([[1, 0], [0.5, 0.5], [0.3, 0.7]]), np.array([[0, 1], [0, 1], [0.3, 0.7]])
    assert divergence(left, right).tolist() == pytest.approx([1.0, 0.3113, 0.0], abs=5e-5)
    assert divergence(right, left).tolist() == pytest.approx([1.0, 0.3113, 0.0], abs=5e-5)


@pytest.mark.parametrize("size", [1, 3, 500_000])
def test_partners_are_found_within_the_image(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency._blocks_of_pairs, "__defaults__", (size,))
    boxes, offsets = np.array([LEFT_HALF, WHOLE_IMAGE, RIGHT_HALF, LEFT_HALF]), np.array([0, 2, 3, 4, 4])
    others = np.array([WHOLE_IMAGE, LEFT_HALF, LEFT_HALF, WHOLE_IMAGE, WHOLE_IMAGE])
    partner, overlap = best_partners(boxes, offsets, others, np.array([0, 2, 4, 4, 5]))
    assert partner.tolist() == [1, 0, 3, -1]
    assert overlap.tolist() == [1.0, 1.0, 0.5, 0.0]


def test_a_box_that_overlaps_none_has_no_partner() -> None:
    partner, overlap = best_partners(np.array([LEFT_HALF]), np.array([0, 1]), np.array([RIGHT_HALF]), np.array([0, 1]))
    assert (partner.tolist(), overlap.tolist()) == ([-1], [0.0])


def test_of_equal_partners_the_first_is_taken() -> None:
    partner, _ = best_partners(np.array([LEFT_HALF]), np.array([0, 1]), np.tile(LEFT_HALF, (3, 1)), np.array([0, 3]))
    assert partner.tolist() == [0]


def test_blocks_of_pairs_grow_to_their_size() -> None:
    blocks = consistency._blocks_of_pairs(np.array([2, 0, 2, 2]), 4)
    assert [block.tolist() for block in blocks] == [[0], [2, 3]]
    assert consistency._blocks_of_pairs(np.zeros(2, dtype=np.int64)) == []


def test_scores_of_boxes_that_are_found_again() -> None:
    pool = see_all(make_pool([[0.5], [0.99], [0.3], []]))
    expected = [1 - 0.2 / 1.3, 1 - 0.69 / 1.3, 1.0, 1 - 0.66 / 1.3]
    assert flip_consistency.score(pool).tolist() == pytest.approx(expected)


def test_a_box_elsewhere_in_the_mirrored_view_is_compared_with_no_damage() -> None:
    pool = replace(see_all(make_pool([[0.5]])), boxes_xyxyn=np.array([LEFT_HALF]))
    view = MirroredView(np.array([0, 1]), np.array([RIGHT_HALF]), np.array([[0.5]]))
    # m = 0 + 0.25 x (1 - 0.3113)
    assert flip_consistency.score(replace(pool, mirrored=view))[0] == pytest.approx(0.1722 / 1.3, abs=1e-4)


def test_the_box_nearest_to_the_most_informative_agreement_decides() -> None:
    pool = see_all(make_pool([[0.99, 0.5]]))
    pool = replace(pool, boxes_xyxyn=np.array([LEFT_HALF, RIGHT_HALF]))
    pool = replace(pool, mirrored=MirroredView(pool.offsets, pool.boxes_xyxyn, pool.box_class_scores))
    chosen = flip_consistency.select(pool, 1, np.random.default_rng(0))
    assert chosen.scores[0] == pytest.approx(1 - 0.2 / 1.3)
    assert chosen.reasons == ("agreement with the mirrored view 1.50 of 2 for one box",)


def test_an_image_in_whose_mirrored_view_a_box_was_found_does_not_agree_on_nothing() -> None:
    pool = see_all(make_pool([[]]))
    view = MirroredView(np.array([0, 2]), np.array([LEFT_HALF, RIGHT_HALF]), np.array([[0.2], [0.4]]))
    pool = replace(pool, mirrored=view)
    assert flip_consistency.score(pool)[0] == pytest.approx(1 - 0.7 / 1.3)
    reasons = flip_consistency.select(pool, 1, np.random.default_rng(0)).reasons
    assert reasons == ("no box in this view, highest score 0.04",)


def test_two_views_of_the_same_boxes_in_another_order_agree() -> None:
    pool = random_pool(3, 6)
    view = pool.mirrored
    assert view is not None
    order = np.concatenate([np.arange(view.offsets[i], view.offsets[i + 1])[::-1] for i in range(6)])
    turned = MirroredView(view.offsets, view.boxes_xyxyn[order], view.class_scores[order])
    assert flip_consistency.score(replace(pool, mirrored=turned)) == pytest.approx(flip_consistency.score(pool))


def test_one_box_in_the_mirrored_view_alone_is_no_agreement_on_nothing() -> None:
    view = MirroredView(np.array([0, 1]), np.array([LEFT_HALF]), np.array([[0.6]]))
    pool = replace(see_all(make_pool([[]])), mirrored=view)
    # m = 1 - 0.6
    assert flip_consistency.score(pool)[0] == pytest.approx(1 - 0.9 / 1.3)


def test_an_empty_pool_needs_no_mirrored_view() -> None:
    pool = replace(make_pool([]), boxes_xyxyn=np.zeros((0, 4)))
    assert len(flip_consistency.select(pool, 1, np.random.default_rng(0))) == 0
