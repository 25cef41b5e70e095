"""Figures by slice, on four photos counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate_rules import Figure, Slice
from damageloop.domain.geometry import Box
from damageloop.domain.measurements import Measurements
from damageloop.domain.prediction import Detection

SIZE_WH = (100, 100)
CLASSES = ("scratch", "dent")
LARGE, SMALL, AWAY = Box(0, 0, 50, 50), Box(60, 60, 68, 68), Box(80, 0, 95, 20)


def record(
    name: str, truths: list[tuple[str, Box]], found: list[tuple[str, float, Box]], car: str = ""
) -> ImageEvaluation:
    drawn = [LabeledBox(damage_class, box) for damage_class, box in truths]
    seen = [Detection(damage_class, confidence, box) for damage_class, confidence, box in found]
    return evaluate_image(name, car or name, drawn, seen, SIZE_WH)


# Of three dents two are found, the small one below the threshold; of two scratches one, and there are two false alarms,
# one of them on a clean photo.
RECORDS = [
    record("a", [("dent", LARGE), ("dent", SMALL)], [("dent", 0.9, LARGE), ("dent", 0.3, SMALL)]),
    record("b", [("dent", LARGE), ("scratch", SMALL)], [("dent", 0.8, LARGE), ("scratch", 0.7, SMALL)]),
    record("c", [("scratch", LARGE)], [("scratch", 0.6, AWAY)]),
    record("d", [], [("dent", 0.9, AWAY)]),
    record("e", [], [("dent", 0.4, AWAY)]),
]
SLICES = {Slice.DARK: frozenset("cd"), Slice.BRIGHT: frozenset("abe")}


def measurements(thresholds: dict[str, float] | None = None) -> Measurements:
    chosen = {"scratch": 0.5, "dent": 0.5} if thresholds is None else thresholds
    return Measurements(RECORDS, chosen, np.ones((3, len(RECORDS))), SLICES, small_share=0.01)


@pytest.mark.parametrize(
    ("figure", "part", "value", "count", "n_groups"),
    [
        (Figure.RECALL, Slice.ALL, (1 / 2 + 2 / 3) / 2, 5, 3),
        (Figure.RECALL, Slice.SMALL_BOXES, 1 / 2, 2, 2),
        (Figure.RECALL, Slice.DARK, 0.0, 1, 1),
        (Figure.RECALL, Slice.BRIGHT, 3 / 4, 4, 2),
        (Figure.PRECISION, Slice.ALL, 3 / 5, 5, 4),
        (Figure.PRECISION, Slice.DARK, 0.0, 2, 2),
        (Figure.SPECIFICITY, Slice.ALL, 1 / 2, 2, 2),
        (Figure.SPECIFICITY, Slice.DARK, 0.0, 1, 1),
        (Figure.SPECIFICITY, Slice.BRIGHT, 1.0, 1, 1),
    ],
)
def test_figures_of_slices(figure: Figure, part: Slice, value: float, count: int, n_groups: int) -> None:
    found = measurements().measure(figure, part, CLASSES)
    assert found.value == pytest.approx(value)
    assert (found.count, found.n_groups) == (count, n_groups)
    # Three resamples that are the images as they are.
    np.testing.assert_allclose(found.resampled, np.full(3, value))


def test_a_slice_without_images_has_no_figure() -> None:
    for figure in Figure:
        found = measurements().measure(figure, Slice.PRODUCTION, CLASSES)
        assert np.isnan(found.value)
        assert (found.count, found.n_groups) == (0, 0)


def test_a_model_that_does_not_know_a_class_finds_none_of_it_and_raises_no_alarm_by_it() -> None:
    only_scratch = measurements({"scratch": 0.5})
    assert only_scratch.measure(Figure.RECALL, Slice.ALL, ["dent"]).value == 0.0
    assert only_scratch.measure(Figure.MAP50, Slice.ALL, ["dent"]).value == 0.0
    assert only_scratch.measure(Figure.SPECIFICITY, Slice.ALL, CLASSES).value == 1.0
    assert only_scratch.threshold("dent") is None


def test_average_precision_on_a_slice_is_that_of_its_images_alone() -> None:
    bright = Measurements([RECORDS[0], RECORDS[1], RECORDS[4]], {"dent": 0.5}, np.ones((1, 3)), {}, 0.01)
    for figure in (Figure.MAP50, Figure.MAP50_95):
        part = measurements().measure(figure, Slice.BRIGHT, ["dent"])
        assert part.value == pytest.approx(bright.measure(figure, Slice.ALL, ["dent"]).value)


def test_records_without_sizes_have_no_small_boxes() -> None:
    plain = [evaluate_image("a", "a", [LabeledBox("dent", SMALL)], [Detection("dent", 0.9, SMALL)])]
    found = Measurements(plain, {"dent": 0.5}, np.ones((1, 1)), {}, 0.01)
    assert found.measure(Figure.RECALL, Slice.SMALL_BOXES, ["dent"]).count == 0
