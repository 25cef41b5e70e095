"""cleanlab's ranking on hand-made predictions: what is wrong ranks lowest, and each kind of wrong is told apart."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.adapters.cleanlab import ObjectLabChecker
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.label_error import JudgedImage, LabelCheck
from damageloop.domain.prediction import Detection

CLASSES = ("scratch", "dent", "crack")
CHECKER = ObjectLabChecker(CLASSES, sure_score=0.7, located_score=0.5)
LEFT, RIGHT = Box(10, 10, 110, 90), Box(300, 200, 380, 260)
SHIFTED = Box(70, 10, 170, 90)


def image(drawn: list[tuple[str, Box]], seen: list[tuple[str, float, Box]]) -> JudgedImage:
    return JudgedImage(
        tuple(LabeledBox(name, box) for name, box in drawn), tuple(Detection(*detection) for detection in seen)
    )


AGREED = image([("dent", LEFT), ("scratch", RIGHT)], [("dent", 0.95, LEFT), ("scratch", 0.8, RIGHT)])
CLEAN = image([], [("crack", 0.2, LEFT)])
SWAPPED = image([("dent", LEFT)], [("scratch", 0.9, LEFT)])
OVERLOOKED = image([("dent", LEFT)], [("dent", 0.9, LEFT), ("crack", 0.3, LEFT), ("scratch", 0.92, RIGHT)])
MISPLACED = image([("dent", SHIFTED)], [("dent", 0.9, LEFT)])


def checks() -> list[LabelCheck]:
    return CHECKER([AGREED, SWAPPED, CLEAN, OVERLOOKED, MISPLACED])


def test_what_is_wrong_ranks_below_what_agrees() -> None:
    agreed, swapped, clean, overlooked, misplaced = (check.quality for check in checks())
    assert agreed == pytest.approx(1.0)
    assert clean == pytest.approx(1.0)
    assert max(swapped, overlooked, misplaced) <= 0.7


def test_each_kind_of_doubt_names_its_box() -> None:
    _, swapped, _, overlooked, misplaced = checks()
    assert swapped.swapped[0] < 0.05
    assert swapped.misplaced == (1.0,)
    # In the order in which the detections were given, not by class.
    assert overlooked.overlooked[:2] == (1.0, 1.0)
    assert overlooked.overlooked[2] < 0.05
    # IoU 40 x 80 / (2 x 8000 - 3200) = 0.25, of which nine tenths count.
    assert misplaced.misplaced[0] == pytest.approx(0.225, abs=0.01)
    assert misplaced.swapped == (1.0,)


def test_with_its_own_thresholds_it_is_cleanlabs_own_score() -> None:
    from cleanlab.object_detection.rank import get_label_quality_scores, issues_from_scores

    images = [AGREED, SWAPPED, OVERLOOKED, MISPLACED]
    sure = [JudgedImage(i.drawn, tuple(Detection(d.damage_class, 0.97, d.box) for d in i.detections)) for i in images]
    labels = [
        {
            "bboxes": np.array([box.box.as_tuple() for box in i.drawn]),
            "labels": np.array([CLASSES.index(box.damage_class) for box in i.drawn]),
        }
        for i in sure
    ]
    predictions = [
        np.array(
            [
                np.array([[*d.box.as_tuple(), d.confidence] for d in i.detections if d.damage_class == name]).reshape(
                    -1, 5
                )
                for name in CLASSES
            ],
            dtype=object,
        )
        for i in sure
    ]
    theirs = get_label_quality_scores(labels, predictions, verbose=False)
    ours = [check.quality for check in ObjectLabChecker(CLASSES, 0.95, 0.5)(sure)]
    assert ours == pytest.approx(theirs.tolist())
    assert issues_from_scores(theirs, threshold=0.7).tolist() == np.argsort(ours)[:3].tolist()


def test_a_swapped_class_is_found_among_photos_whose_boxes_all_agree() -> None:
    agreed = image([("dent", LEFT)], [("dent", 0.9, LEFT)])
    checks = CHECKER([agreed, SWAPPED, agreed])
    assert [check.quality for check in checks] == pytest.approx([1.0, 0.0, 1.0], abs=0.01)


def test_nothing_to_judge_is_no_doubt() -> None:
    assert CHECKER([]) == []
    assert CHECKER([image([], [])]) == [LabelCheck(1.0, (), (), ())]
    assert CHECKER([image([("dent", LEFT)], [])]) == [LabelCheck(1.0, (), (1.0,), (1.0,))]
