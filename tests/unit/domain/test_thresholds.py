"""Working thresholds against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from damageloop.domain.thresholds import ThresholdRules, ThresholdSource, WorkingThreshold, working_thresholds

BOXES = 5


def record(hits: list[float], alarms: list[float], n_boxes: int = BOXES, name: str = "a") -> ImageEvaluation:
    """Dents side by side; the first ones are found with these confidences, and the alarms hit nothing."""
    truths = [LabeledBox("dent", Box(50.0 * i, 0.0, 50.0 * i + 10.0, 10.0)) for i in range(n_boxes)]
    found = [Detection("dent", c, truths[i].box) for i, c in enumerate(hits)]
    wrong = [Detection("dent", c, Box(50.0 * i, 500.0, 50.0 * i + 10.0, 510.0)) for i, c in enumerate(alarms)]
    return evaluate_image(name, f"car-{name}", truths, found + wrong)


def threshold(records: list[ImageEvaluation], rules: ThresholdRules) -> WorkingThreshold:
    return working_thresholds(records, ["dent"], rules)["dent"]


def test_without_a_target_it_is_where_f1_is_highest() -> None:
    # Four hits and no false alarm: F1 8/9, between the fourth and the first false alarm.
    found = threshold([record([0.9, 0.8, 0.7, 0.6], [0.4, 0.3])], ThresholdRules(0.25))
    assert found == WorkingThreshold(0.5, ThresholdSource.BEST_F1, target=None, recall=0.8, precision=1.0)


def test_a_class_with_too_few_boxes_or_no_right_detection_keeps_the_default() -> None:
    for part in (record([0.9], [], n_boxes=1), record([], [0.9])):
        found = threshold([part], ThresholdRules(0.25, recall_target=0.9))
        assert (found.value, found.source) == (0.25, ThresholdSource.DEFAULT)


def test_a_recall_target_takes_the_highest_threshold_that_reaches_it() -> None:
    part = record([0.9, 0.8, 0.7, 0.2], [0.6, 0.5, 0.4])
    # 3 of 5 needs 0.7 and shows nothing else; 4 of 5 needs 0.2 and three false alarms.
    for target, value, precision in ((0.6, 0.65, 1.0), (0.61, 0.2, 4 / 7), (0.8, 0.2, 4 / 7)):
        found = threshold([part], ThresholdRules(0.25, recall_target=target))
        assert found.value == pytest.approx(value)
        assert found.precision == pytest.approx(precision)
        assert (found.source, found.target) == (ThresholdSource.RECALL_TARGET, target)
        assert (found.recall or 0.0) >= target


def test_a_class_target_counts_before_the_common_one() -> None:
    part = record([0.9, 0.8, 0.7, 0.2], [0.6])
    found = threshold([part], ThresholdRules(0.25, recall_target=0.2, class_recall={"dent": 0.8}))
    assert (found.recall, found.target) == (0.8, 0.8)


def test_a_target_out_of_reach_finds_as_much_as_it_can_and_says_so() -> None:
    # The fifth box is never found. Down to 0.2 four are; the alarms below would cost precision for nothing.
    found = threshold([record([0.9, 0.8, 0.7, 0.2], [0.1, 0.08])], ThresholdRules(0.25, recall_target=0.9))
    assert found.value == pytest.approx(0.15)
    assert (found.source, found.recall) == (ThresholdSource.MISSED_TARGET, 0.8)


def test_no_target_is_bought_below_the_least_precision() -> None:
    # All five are found at 0.1, but among 20 shown boxes: a quarter are right.
    part = record([0.9, 0.8, 0.7, 0.6, 0.1], [0.3] * 15)
    rules = ThresholdRules(0.25, recall_target=1.0)
    assert threshold([part], rules).recall == 1.0
    strict = threshold([part], ThresholdRules(0.25, recall_target=1.0, min_precision=0.3))
    assert strict.value == pytest.approx(0.45)
    assert (strict.source, strict.recall) == (ThresholdSource.MISSED_TARGET, 0.8)


def test_where_no_threshold_is_precise_enough_f1_decides() -> None:
    part = record([0.5, 0.4], [0.9, 0.8, 0.7, 0.6])
    found = threshold([part], ThresholdRules(0.25, recall_target=0.2, min_precision=0.5))
    best = threshold([part], ThresholdRules(0.25))
    assert (found.value, found.source) == (best.value, ThresholdSource.MISSED_TARGET)


def test_a_higher_target_never_raises_a_threshold() -> None:
    rng = np.random.default_rng(4)
    records = [record(list(rng.random(4)), list(rng.random(3)), name=str(n)) for n in range(20)]
    values = [threshold(records, ThresholdRules(0.25, recall_target=t)).value for t in np.linspace(0.05, 0.75, 15)]
    assert values == sorted(values, reverse=True)


def test_the_order_of_images_changes_no_threshold() -> None:
    rng = np.random.default_rng(5)
    records = [record(list(rng.integers(1, 6, 4) / 6), list(rng.integers(1, 6, 3) / 6), name=str(n)) for n in range(9)]
    for rules in (ThresholdRules(0.25), ThresholdRules(0.25, recall_target=0.6)):
        assert threshold(records[::-1], rules) == threshold(records, rules)
