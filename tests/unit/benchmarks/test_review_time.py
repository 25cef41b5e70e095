"""Replayed reviews: seconds by hand, a model that costs time is said to, and the report's form."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.replayed_reviews import SeenPhoto, replay
from benchmarks.report import table_lines
from benchmarks.review_time import report
from benchmarks.review_time_page import page
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.correction import Gesture
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from tests.fakes.photos import make_params

PARAMS = make_params(round={"query_size": 100, "audited_share": 0.1})
LABELS = ("scratch", "dent")
DENT = LabeledBox("dent", Box(0, 0, 50, 50))


def found(confidence: float, x_min: float = 0.0) -> Detection:
    return Detection("dent", confidence, Box(x_min, 0, x_min + 50, 50))


def seen(*detections: Detection, boxes: tuple[LabeledBox, ...] = (DENT,), group: str = "car") -> SeenPhoto:
    return SeenPhoto(group, detections, boxes)


def content(**photos: list[SeenPhoto]) -> dict[str, Any]:
    return report(photos, PARAMS, LABELS, seed=0)


def row(photos: list[SeenPhoto]) -> dict[str, Any]:
    return next(r for r in content(p=photos)["results"] if r["drawing"].startswith("prior"))


def test_a_right_pre_label_takes_the_time_of_a_look() -> None:
    # 6 + 1.6 against 6 + 10; a round has 90 pre-labelled images.
    told = row([seen(found(0.9))])
    assert (told["seconds_with"], told["seconds_without"]) == (7.6, 16.0)
    assert told["minutes_saved_a_round"] == pytest.approx(8.4 * 90 / 60)


def test_a_false_pre_label_costs_its_rejection() -> None:
    told = row([seen(found(0.9), boxes=())])
    assert (told["seconds_with"], told["seconds_without"]) == (7.5, 6.0)
    assert told["minutes_saved_a_round"] < 0


def test_what_is_below_the_threshold_is_not_seen() -> None:
    assert replay(seen(found(0.2)), 0.25).corrections == {(Gesture.DRAWN, "dent"): 1}
    assert replay(seen(found(0.25)), 0.25).corrections == {(Gesture.ACCEPTED, "dent"): 1}


def test_the_interval_comes_from_groups() -> None:
    one_car = row([seen(found(0.9)), seen(found(0.9), boxes=())])
    two_cars = row([seen(found(0.9), group="a"), seen(found(0.9), boxes=(), group="b")])
    assert one_car["seconds_with_low"] == one_car["seconds_with_high"] == pytest.approx(7.55)
    assert two_cars["seconds_with_low"] == pytest.approx(7.5)
    assert two_cars["seconds_with_high"] == pytest.approx(7.6)


def test_classes_and_thresholds_have_their_rows() -> None:
    told = content(p=[seen(found(0.3), found(0.9, 200.0))])
    assert told["by_class"][1] == {
        "photos": "p",
        "class": "dent",
        "boxes": 1,
        "accepted": 1,
        "edited": 0,
        "rejected": 1,
        "drawn": 0,
        "seconds_saved_a_box": 6.9,
        "seconds_saved_an_image": 6.9,
        "minutes_saved_a_round": pytest.approx(6.9 * 1.5, abs=0.051),
    }
    assert told["by_class"][0]["seconds_saved_a_box"] is None
    # At 0.4 only the false one is left to see.
    by_threshold = [told["by_threshold"][0][threshold] for threshold in ("0.25", "0.4")]
    assert by_threshold == pytest.approx([6.9 * 1.5, -1.5 * 1.5], abs=0.051)


def test_the_page_says_when_pre_labels_cost_time() -> None:
    told = content(good=[seen(found(0.9))], bad=[seen(found(0.9), boxes=())])
    told |= {"model": {"weights": "w.pt", "image_size": 256, "labels": LABELS}, "logged": None}
    told |= {"machine": {"processor": "p", "cpus": 2}, "commit": "c"}
    text = page(told)
    assert "good: pre-labels of this model save time" in text
    assert "bad: **pre-labels of this model cost time**" in text
    assert "not measured people" in text


def test_a_table_has_the_columns_of_its_first_row() -> None:
    assert table_lines([{"a": 1.23456, "b": None}]) == ["| a     | b |", "| ----- | - |", "| 1.235 | - |"]
    assert table_lines([]) == ["none"]
