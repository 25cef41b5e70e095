"""The serving benchmark's figures by hand: ratios, targets, latencies, the slope of memory, the page's sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.serving import requests as http
from benchmarks.serving.bare import _letterbox
from benchmarks.serving.endurance import slope_mb_per_hour
from benchmarks.serving.load import Answer, _version_of, figures
from benchmarks.serving.page import page
from benchmarks.serving.ratios import ratios, summary
from benchmarks.serving.same_boxes import _matches
from benchmarks.serving.sides import all_sides


def row(side: str, concurrency: int, rate: float, number: int = 0, **other: Any) -> dict[str, Any]:
    known = {"precision": "f32", "workers": 1, "images_per_request": 1, "n_requests": 10, "n_errors": 0}
    measured = {"requests_per_s": rate, "images_per_s": rate, "p50_ms": 100.0, "p95_ms": 110.0, "cpu_ms": 80.0}
    return {"side": side, "concurrency": concurrency, "round": number, "peak_mb": 200.0} | known | measured | other


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    ours = [row("ours f32", 4, rate, number) for number, rate in enumerate((9.0, 20.0, 30.0))]
    bare = [row("bare f32", 2, rate, number) for number, rate in enumerate((10.0, 20.0, 60.0))]
    found = ratios([*ours, *bare], {}, {})["ours f32, c=4, against bare"]
    assert (found["low"], found["ratio"], found["high"]) == (0.5, 0.9, 1.0)
    assert found["target"] == 0.92
    assert found["is_reached"] is False


def test_what_was_not_measured_has_no_ratio() -> None:
    found = ratios([row("ours f32", 4, 9.0)], {}, {})
    assert list(found) == ["ours f32, c=4: p95 / p50"]
    assert found["ours f32, c=4: p95 / p50"]["is_reached"] is True


def test_the_cost_of_active_learning_is_what_is_lost() -> None:
    rows = [row("graph, with active learning f32", 2, 97.0), row("graph, boxes alone f32", 2, 100.0)]
    found = ratios(rows, {}, {})["active-learning outputs f32: cost"]
    assert found["ratio"] == pytest.approx(0.03)
    assert found["is_reached"] is False


def test_memory_and_start_are_shares_of_the_peer() -> None:
    rows = [row("ours f32", 4, 9.0, peak_mb=300.0), row("FastAPI + ultralytics", 4, 3.0, peak_mb=1200.0)]
    found = ratios(rows, {"ours f32": [1.0, 2.0, 9.0], "FastAPI + ultralytics": [10.0]}, {})
    assert found["ours f32: peak memory against FastAPI + ultralytics"]["ratio"] == 0.25
    assert found["ours f32: start against FastAPI + ultralytics"]["ratio"] == 0.2
    assert found["ours f32, c=4, against FastAPI + ultralytics"]["ratio"] == 3.0


def test_the_pool_is_held_against_bare() -> None:
    found = ratios([], {}, {"rounds": [{"f32": 0.9}, {"f32": 0.8}, {}]})
    assert found["pre-annotation of a pool, f32, against bare"]["ratio"] == pytest.approx(0.85)


def test_a_summary_has_medians_and_the_highest_memory() -> None:
    (told,) = summary([row("a", 4, rate, peak_mb=rate) for rate in (1.0, 5.0, 3.0)])
    assert (told["images_per_s"], told["images_per_s_low"], told["images_per_s_high"]) == (3.0, 1.0, 5.0)
    assert told["peak_mb"] == 5.0
    assert told["n_requests"] == 30


def test_errors_count_in_no_rate_and_no_latency() -> None:
    good = [Answer(0.0, 0.1 * number, 200, "", False) for number in range(1, 11)]
    found = figures([*good, Answer(0.0, 2.0, 503, "", False), Answer(0.0, 2.0, 0, "", False)], 2.0)
    assert (found["n_requests"], found["n_errors"], found["requests_per_s"]) == (12, 2, 5.0)
    assert found["statuses"] == {"0": 1, "200": 10, "503": 1}
    assert found["p50_ms"] == pytest.approx(550.0)


def test_nothing_but_errors_has_no_latency() -> None:
    assert figures([Answer(0.0, 1.0, 500, "", False)], 1.0)["p50_ms"] is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model_version":"1","damage_class":"dent"}', ("1", False)),
        (b'{"model_version": "2", "damage_class": "dent 2"}', ("2", False)),
        (b'{"model_version":"2","damage_class":"dent"}', ("2", True)),
        (b'{"model_version":"1","damage_class":"dent","damage_class":"dent 2"}', ("1", True)),
        (b'{"model_version":"2"}', ("2", False)),
    ],
)
def test_an_answer_with_classes_of_another_version_is_mixed(body: bytes, expected: tuple[str, bool]) -> None:
    assert _version_of(body) == expected


def test_the_slope_leaves_the_first_fifth_out() -> None:
    growing = [(float(second), 100.0 if second < 20 else 200.0 + second) for second in range(100)]
    assert slope_mb_per_hour(growing) == pytest.approx(3600.0)
    assert slope_mb_per_hour(growing[:2]) is None


def test_every_photo_is_in_as_many_requests_as_every_other_when_tasks_divide() -> None:
    bodies = http.tasks_bodies([{"id": number} for number in range(8)], 4)
    assert [[task["id"] for task in body["tasks"]] for body in bodies] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [len(body["tasks"]) for body in http.tasks_bodies([{"id": 1}, {"id": 2}, {"id": 3}], 2)] == [2, 2]


def test_a_message_says_its_length() -> None:
    (message,) = http.as_json("/predict", [{"a": 1}])
    assert message.endswith(b'Content-Length: 8\r\n\r\n{"a": 1}')


def test_a_landscape_photo_has_bars_above_and_below() -> None:
    frame, scale, pad = _letterbox(np.zeros((50, 100, 3), np.uint8), (64, 64))
    assert (frame.shape, scale, pad) == ((64, 64, 3), 0.64, (0, 16))
    assert frame[:16].min() == frame[48:].max() == 114


def test_boxes_match_once_and_only_in_their_class() -> None:
    def found(left: float, name: str = "dent", confidence: float = 0.5) -> dict[str, Any]:
        box = {"x_min": left, "y_min": 0.0, "x_max": left + 10.0, "y_max": 10.0}
        return {"damage_class": name, "confidence": confidence, "box": box}

    own, square = [found(0), found(1), found(50, "scratch")], [found(0, confidence=0.6), found(50)]
    assert np.array(_matches(own, square)) == pytest.approx(np.array([[1.0, 0.1]]))
    assert _matches([], square) == _matches(own, []) == []


def test_sides_are_named_as_the_targets_name_them() -> None:
    names = set(all_sides(["f32", "bf16"]))
    assert {"ours f32", "ours bf16, landscape photos in the square", "LitServe, 2 workers"} <= names
    assert {"label-studio-ml, 16 a request", "our ML backend bf16, 1 a request"} <= names


def test_the_page_names_what_is_missed_and_what_could_not_be_measured() -> None:
    settings = {"model": "m.pt", "n_classes": 2, "image_size": 640, "photos": "photos", "rounds": 1, "seconds": 1.0}
    rows = [row("ours f32", 4, 9.0), row("bare f32", 2, 10.0)]
    text = page(
        {
            "settings": settings | {"busy": True},
            "results": [{**one, "start_s": None} for one in summary(rows)],
            "ratios": ratios(rows, {}, {}),
            "failures": {"LitServe": "no good answer within 120 s"},
            "landscape": {},
            "pool": {},
            "machine": {"processor": "a CPU", "cpus": 2, "memory_gib": 8.0},
            "versions": {"openvino": "1", "litserve": None},
            "commit": "abc",
        }
    )
    assert "Missed: ours f32, c=4, against bare." in text
    assert "LitServe could not be measured: no good answer within 120 s" in text
    assert "Other work ran on the machine" in text
