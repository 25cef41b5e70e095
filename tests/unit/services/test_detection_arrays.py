from __future__ import annotations

from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from damageloop.services.rounds.detection_arrays import detection_arrays, offsets_of


def box(x_max: float = 50.0, entropy: float | None = None) -> Detection:
    return Detection("dent", 0.75, Box(10.0, 20.0, x_max, 60.0), (0.25, 0.75), entropy)


def test_no_image_gives_empty_arrays() -> None:
    arrays = detection_arrays([], [], 2)
    assert arrays.offsets.tolist() == [0]
    assert arrays.box_class_scores.shape == (0, 2)
    assert arrays.boxes_xyxyn.shape == (0, 4)


def test_boxes_stand_image_after_image_as_shares_of_their_own_image() -> None:
    arrays = detection_arrays([[box()], [], [box(), box(entropy=0.5)]], [(100, 200), (9, 9), (200, 100)], 2)
    assert arrays.offsets.tolist() == [0, 1, 1, 3]
    assert arrays.boxes_xyxyn[0].tolist() == [0.1, 0.1, 0.5, 0.3]
    assert arrays.boxes_xyxyn[2].tolist() == [0.05, 0.2, 0.25, 0.6]
    assert arrays.localization_entropy.tolist() == [0.0, 0.0, 0.5]
    assert arrays.box_class_scores.tolist() == [[0.25, 0.75]] * 3


def test_an_edge_just_outside_is_cut_off() -> None:
    assert detection_arrays([[box(x_max=100.4)]], [(100, 200)], 2).boxes_xyxyn[0].tolist() == [0.1, 0.1, 1.0, 0.3]


def test_offsets_count_the_boxes_of_each_image() -> None:
    assert offsets_of([[box(), box()], [], [box()]]).tolist() == [0, 2, 2, 3]
