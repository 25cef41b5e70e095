"""What a person did to pre-labels, read off the boxes before and after."""

from __future__ import annotations

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.correction import Gesture, corrections
from damageloop.domain.geometry import Box


def box(x_min: float = 0.0, damage_class: str = "dent", width: float = 100.0) -> LabeledBox:
    return LabeledBox(damage_class, Box(x_min, 0.0, x_min + width, 100.0))


def test_nothing_shown_and_nothing_left_is_no_gesture() -> None:
    assert corrections([], []) == {}


def test_without_pre_labels_every_box_was_drawn() -> None:
    assert corrections([], [box(), box(500)]) == {(Gesture.DRAWN, "dent"): 2}


def test_an_untouched_box_survives_the_tools_rounding() -> None:
    assert corrections([box()], [box(0.3)]) == {(Gesture.ACCEPTED, "dent"): 1}


def test_a_moved_box_was_edited_and_one_moved_far_drawn_anew() -> None:
    assert corrections([box()], [box(20)]) == {(Gesture.EDITED, "dent"): 1}
    # 40 of 160 overlap: a quarter.
    assert corrections([box()], [box(60)]) == {(Gesture.REJECTED, "dent"): 1, (Gesture.DRAWN, "dent"): 1}


def test_another_class_is_an_edit_under_the_humans_class() -> None:
    assert corrections([box()], [box(damage_class="scratch")]) == {(Gesture.EDITED, "scratch"): 1}


def test_a_rejected_box_counts_under_the_models_class() -> None:
    assert corrections([box(damage_class="scratch")], []) == {(Gesture.REJECTED, "scratch"): 1}


def test_the_truth_in_place_of_a_person_accepts_what_is_near() -> None:
    # 90 of 110 overlap: 0.818.
    assert corrections([box()], [box(10)], accept_iou=0.8) == {(Gesture.ACCEPTED, "dent"): 1}
    assert corrections([box()], [box(10)], accept_iou=0.82) == {(Gesture.EDITED, "dent"): 1}


def test_the_closest_pair_comes_first_and_a_second_box_on_it_was_rejected() -> None:
    found = corrections([box(10), box(0)], [box(0)])
    assert found == {(Gesture.ACCEPTED, "dent"): 1, (Gesture.REJECTED, "dent"): 1}
