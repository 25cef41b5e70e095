"""Average precision, recall and thresholds against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import (
    ImageEvaluation,
    class_table,
    evaluate_image,
    figures,
    mean_ap,
)
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection

CLASSES = ("scratch", "dent")


def box(x: float, y: float = 0.0, side: float = 10.0) -> Box:
    return Box(x, y, x + side, y + side)


def truth(x: float, name: str = "dent") -> LabeledBox:
    return LabeledBox(name, box(x))


def found(x: float, confidence: float, name: str = "dent") -> Detection:
    return Detection(name, confidence, box(x))


def record(truths: list[LabeledBox], detections: list[Detection], name: str = "a") -> ImageEvaluation:
    return evaluate_image(name, f"car-{name}", truths, detections)


def test_nothing_to_find_has_no_average_precision() -> None:
    assert mean_ap([], CLASSES) is None
    assert mean_ap([record([], [])], CLASSES) is None
    assert mean_ap([record([], [found(0, 0.9)])], CLASSES) is None
    empty = figures([], CLASSES, dict.fromkeys(CLASSES, 0.25))
    assert (empty["map50"], empty["images"], empty["per_class"]["dent"]["recall"]) == (None, 0, None)


def test_no_detection_of_what_is_there_is_worth_nothing() -> None:
    assert mean_ap([record([truth(0)], [])], CLASSES) == 0.0


def test_every_box_found_exactly_is_perfect_at_every_overlap() -> None:
    records = [record([truth(0), truth(50, "scratch")], [found(0, 0.9), found(50, 0.3, "scratch")])]
    assert mean_ap(records, CLASSES, 0.5) == 1.0
    assert mean_ap(records, CLASSES, None) == 1.0


def test_one_box_of_two_reaches_51_of_the_101_recall_levels() -> None:
    assert mean_ap([record([truth(0), truth(50)], [found(0, 0.9)])], ["dent"]) == pytest.approx(51 / 101, abs=1e-6)


def test_a_second_detection_of_the_same_box_is_a_false_positive() -> None:
    twice = record([truth(0), truth(50)], [found(0, 0.9), found(1, 0.8), found(50, 0.7)])
    # Precision is 1 up to recall 0.5, then 2/3.
    assert mean_ap([twice], ["dent"]) == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)


def test_a_detection_takes_the_box_it_overlaps_most() -> None:
    truths = [truth(0), truth(4)]
    both = record(truths, [found(4, 0.9), found(0, 0.8)])
    assert both.hits[:, 0].tolist() == [True, True]


def test_a_box_of_another_class_is_no_hit() -> None:
    assert mean_ap([record([truth(0, "scratch")], [found(0, 0.9, "dent")])], ["scratch"]) == 0.0


def test_an_overlap_of_two_thirds_counts_up_to_the_threshold_of_0_65() -> None:
    shifted = record([truth(0)], [found(2, 0.9)])  # 80 / 120
    assert shifted.hits[0].tolist() == [True] * 4 + [False] * 6
    assert mean_ap([shifted], ["dent"], None) == pytest.approx(0.4)


def _many(seed: int = 3, scale: float = 1.0) -> list[ImageEvaluation]:
    rng = np.random.default_rng(seed)
    records = []
    for number in range(30):
        places = [float(x) for x in rng.integers(0, 20, size=rng.integers(0, 4)) * 15]
        truths = [LabeledBox("dent", Box(x * scale, 0.0, (x + 10) * scale, 10 * scale)) for x in places]
        # Few distinct confidences, so that there are ties between images.
        detections = [
            Detection(
                "dent",
                float(rng.integers(1, 5)) / 5,
                Box((x + d) * scale, 0.0, (x + 10 + d) * scale, 10 * scale),
            )
            for x in [*places, 400.0]
            for d in (float(rng.integers(0, 6)),)
        ]
        records.append(evaluate_image(str(number), f"car-{number // 2}", truths, detections))
    return records


def test_the_order_of_images_changes_nothing() -> None:
    records = _many()
    shuffled = [records[int(i)] for i in np.random.default_rng(1).permutation(len(records))]
    thresholds = {"dent": 0.4}
    assert figures(shuffled, ["dent"], thresholds) == figures(records, ["dent"], thresholds)


def test_doubled_images_change_nothing() -> None:
    assert mean_ap(_many(scale=2.0), ["dent"], None) == mean_ap(_many(), ["dent"], None)


def test_a_weight_of_two_is_the_image_twice() -> None:
    records = _many()
    weights = np.random.default_rng(0).integers(0, 3, size=len(records)).astype(float)
    repeated = [
        replace(r, image=f"{r.image}-{copy}") for r, w in zip(records, weights, strict=True) for copy in range(int(w))
    ]
    weighted = class_table(records, "dent").average_precision(2, weights)
    assert weighted == pytest.approx(class_table(repeated, "dent").average_precision(2))


def test_a_perfect_ranking_is_never_worse_than_another() -> None:
    records = _many()
    best = [replace(r, confidences=np.where(r.hits[:, 0], 0.9, 0.1)) for r in records]
    reordered = [
        replace(r, confidences=r.confidences[(o := np.argsort(-r.confidences, kind="stable"))], hits=r.hits[o])
        for r in best
    ]
    assert (mean_ap(reordered, ["dent"]) or 0) >= (mean_ap(records, ["dent"]) or 0)


def test_precision_and_recall_at_a_threshold() -> None:
    records = [record([truth(0), truth(50)], [found(0, 0.9), found(90, 0.6), found(50, 0.4)])]
    dent = figures(records, ["dent"], {"dent": 0.5})["per_class"]["dent"]
    assert (dent["precision"], dent["recall"], dent["boxes"], dent["detections"]) == (0.5, 0.5, 2, 2)
