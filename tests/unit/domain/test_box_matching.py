"""Boxes of models and people brought together, against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.box_matching import Finding, MatchedImage, match_boxes, overlapping_pairs
from damageloop.domain.confusion import BACKGROUND, cells, confusion, tally
from damageloop.domain.evaluation import evaluate_image, figures
from damageloop.domain.geometry import Box
from damageloop.domain.model_difference import difference
from damageloop.domain.prediction import Detection

THRESHOLDS = {"scratch": 0.5, "dent": 0.3}


def box(x: float, side: float = 10.0) -> Box:
    return Box(x, 0.0, x + side, side)


def truth(x: float, name: str = "dent") -> LabeledBox:
    return LabeledBox(name, box(x))


def found(x: float, confidence: float = 0.9, name: str = "dent") -> Detection:
    return Detection(name, confidence, box(x))


def matched(truths: list[LabeledBox], detections: list[Detection]) -> MatchedImage:
    return match_boxes(truths, detections, THRESHOLDS)


def test_nothing_drawn_and_nothing_shown_is_no_match() -> None:
    assert matched([], []).matches == ()


@pytest.mark.parametrize(
    ("truths", "detections", "cell"),
    [
        ([truth(0)], [found(1)], ("dent", "dent")),
        ([truth(0)], [found(1, name="scratch")], ("dent", "scratch")),
        ([truth(0)], [], ("dent", BACKGROUND)),
        ([], [found(0)], (BACKGROUND, "dent")),
        ([truth(0)], [found(0, 0.29)], ("dent", BACKGROUND)),
        ([truth(0)], [found(0, name="rust")], ("dent", BACKGROUND)),
    ],
)
def test_each_box_falls_into_one_cell(
    truths: list[LabeledBox], detections: list[Detection], cell: tuple[str, str]
) -> None:
    assert cells(matched(truths, detections)) == (cell,)


def test_boxes_that_overlap_too_little_are_a_miss_and_a_false_alarm() -> None:
    # 6 of 14 px in common: IoU 0.43.
    image = matched([truth(0)], [found(4)])
    assert sorted(cells(image)) == [(BACKGROUND, "dent"), ("dent", BACKGROUND)]


def test_the_own_class_comes_before_a_closer_box_of_another_one() -> None:
    image = matched([truth(0)], [found(0, 0.99, "scratch"), found(2, 0.4)])
    assert image.truth_findings() == (Finding.FOUND,)
    assert image.shown_findings() == (Finding.FALSE_ALARM, Finding.FOUND)


def test_a_second_detection_of_a_found_box_is_a_false_alarm() -> None:
    image = matched([truth(0)], [found(0, 0.9), found(1, 0.8)])
    assert image.shown_findings() == (Finding.FOUND, Finding.FALSE_ALARM)


def test_what_counts_as_found_here_is_what_recall_and_precision_count() -> None:
    rng = np.random.default_rng(3)
    names = ("scratch", "dent")
    for _ in range(50):
        truths = [truth(float(rng.integers(0, 60)), names[rng.integers(2)]) for _ in range(rng.integers(0, 5))]
        shown = [found(float(x), float(rng.random()), names[rng.integers(2)]) for x in rng.integers(0, 60, 6)]
        image = matched(truths, shown)
        record = evaluate_image("a", "car", truths, shown)
        for name, said in figures([record], names, THRESHOLDS)["per_class"].items():
            n_found = sum(cell == (name, name) for cell in cells(image))
            assert said["detections"] == sum(cell[1] == name for cell in cells(image))
            assert said["recall"] == (round(n_found / said["boxes"], 4) if said["boxes"] else None)


def test_the_closest_pair_is_taken_first_and_each_box_once() -> None:
    assert overlapping_pairs([box(0), box(3)], [box(2), box(30)]) == [(1, 0)]
    assert overlapping_pairs([], [box(0)]) == []


def test_the_table_counts_boxes_and_photos() -> None:
    images = [
        matched([truth(0, "scratch"), truth(50, "scratch")], [found(0, name="scratch"), found(50)]),
        matched([], [found(0), found(30)]),
    ]
    table = confusion(images, ("scratch", "dent"))
    assert table.rows() == ((1, 1, 0), (0, 0, 0), (0, 2, 0))
    assert table.images[BACKGROUND, "dent"] == 1
    whole = tally(images)
    assert (whole.images, whole.wrong_images, whole.boxes) == (2, 2, 2)
    assert [whole.findings[f] for f in Finding] == [1, 1, 0, 2]


def test_a_class_that_nobody_names_stands_after_the_known_ones() -> None:
    assert confusion([matched([truth(0, "rust")], [])], ("dent",)).classes == ("dent", "rust")


def test_a_model_does_not_differ_from_itself() -> None:
    image = matched([truth(0), truth(40)], [found(0), found(80)])
    assert difference(image, image).size == 0


def test_a_damage_that_one_alone_finds_and_a_false_alarm_of_one_alone_differ() -> None:
    truths = [truth(0), truth(40)]
    first = matched(truths, [found(0), found(80), found(120, 0.6)])
    second = matched(truths, [found(40), found(81)])
    diff = difference(first, second)
    assert (diff.found_by_first, diff.found_by_second) == ((0,), (1,))
    # The false alarm at 80 is an error of both; the one at 120, the third box shown, of the first alone.
    assert (diff.wrong_of_first, diff.wrong_of_second, diff.size) == ((2,), (), 3)


def test_two_false_alarms_at_one_place_under_two_names_differ() -> None:
    diff = difference(matched([], [found(0)]), matched([], [found(0, name="scratch")]))
    assert (diff.wrong_of_first, diff.wrong_of_second) == ((0,), (0,))
