"""Boxes and verdicts survive the way to Label Studio and back."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damageloop.adapters.label_studio.form import labeling_config
from damageloop.adapters.label_studio.regions import (
    is_blank,
    parse_annotation,
    parse_note,
    to_choice,
    to_prediction,
    to_reason,
    to_region,
    to_severity,
)
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.labels import NO_DAMAGE, UNUSABLE, FormerNames, class_color
from damageloop.domain.prediction import Detection, PreAnnotation

# 100 x 200 pixels: x and width in percent are the pixels, y and height are half of them.
SIZE_WH = (100, 200)
DENT = LabeledBox("dent", Box(10.0, 20.0, 30.0, 60.0))


def annotation(*regions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": 1, "was_cancelled": False, "result": list(regions), **fields}


def region(**value: Any) -> dict[str, Any]:
    drawn = to_region("r0", DENT, SIZE_WH)
    return {**drawn, "value": {**drawn["value"], **value}}


class TestPredictions:
    def test_a_box_is_written_in_percent_with_its_confidence(self) -> None:
        item = PreAnnotation(7, 3, 12, 0.25, SIZE_WH, (Detection("dent", 0.875, DENT.box),))
        assert to_prediction(item) == {
            "model_version": "12",
            "score": 0.25,
            "result": [
                {
                    "id": "p0",
                    "from_name": "label",
                    "to_name": "image",
                    "type": "rectanglelabels",
                    "original_width": 100,
                    "original_height": 200,
                    "image_rotation": 0,
                    "score": 0.875,
                    "value": {
                        "x": 10.0,
                        "y": 10.0,
                        "width": 20.0,
                        "height": 20.0,
                        "rotation": 0,
                        "rectanglelabels": ["dent"],
                    },
                }
            ],
        }

    def test_an_audited_image_keeps_its_place_and_shows_nothing(self) -> None:
        prediction = to_prediction(PreAnnotation(7, 3, 12, 0.5, SIZE_WH, ()))
        assert prediction == {"model_version": "12", "score": 0.5, "result": []}

    def test_a_box_that_sticks_out_is_clipped(self) -> None:
        sticking_out = Detection("dent", 0.5, Box(-0.4, 0.0, 100.4, 100.0))
        (written,) = to_prediction(PreAnnotation(1, 1, 1, 0.0, SIZE_WH, (sticking_out,)))["result"]
        assert (written["value"]["x"], written["value"]["width"]) == (0.0, 100.0)


@st.composite
def boxes_in_images(draw: st.DrawFn) -> tuple[Box, tuple[int, int]]:
    size_wh = draw(st.tuples(st.integers(32, 8000), st.integers(32, 8000)))
    x_min, y_min = (draw(st.floats(0.0, size - 1.0)) for size in size_wh)
    x_max = draw(st.floats(x_min + 0.5, size_wh[0]))
    y_max = draw(st.floats(y_min + 0.5, size_wh[1]))
    return Box(x_min, y_min, x_max, y_max), size_wh


@given(boxes_in_images())
def test_a_round_trip_moves_no_side_by_a_hundredth_of_a_pixel(drawn: tuple[Box, tuple[int, int]]) -> None:
    box, size_wh = drawn
    verdict, (found,) = parse_annotation(annotation(to_region("r", LabeledBox("dent", box), size_wh)))
    assert verdict is Verdict.DAMAGED
    assert found.box.as_tuple() == pytest.approx(box.as_tuple(), abs=0.01)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("regions", "verdict"),
        [
            ([], Verdict.INCOMPLETE),
            ([to_choice(NO_DAMAGE)], Verdict.CLEAN),
            ([to_choice(UNUSABLE)], Verdict.UNUSABLE),
            ([region()], Verdict.DAMAGED),
            ([to_choice(NO_DAMAGE), region()], Verdict.DAMAGED),
            ([to_choice(UNUSABLE), region()], Verdict.DAMAGED),
            ([to_choice("something else")], Verdict.INCOMPLETE),
        ],
    )
    def test_boxes_come_first_then_the_choice(self, regions: list[dict[str, Any]], verdict: Verdict) -> None:
        assert parse_annotation(annotation(*regions))[0] is verdict

    def test_a_skipped_task_is_skipped_whatever_was_drawn(self) -> None:
        assert parse_annotation(annotation(region(), was_cancelled=True)) == (Verdict.SKIPPED, ())

    def test_an_annotation_without_a_result_is_incomplete(self) -> None:
        assert parse_annotation(annotation(result=None)) == (Verdict.INCOMPLETE, ())


class TestBlankSubmits:
    @pytest.mark.parametrize("said", [[], [to_reason("no idea")], [{**to_choice("too dark"), "from_name": "why"}]])
    def test_a_reason_alone_says_nothing_of_the_photo(self, said: list[dict[str, Any]]) -> None:
        assert is_blank(annotation(*said))
        assert parse_annotation(annotation(*said)) == (Verdict.INCOMPLETE, ())

    @pytest.mark.parametrize("said", [[region()], [to_choice(NO_DAMAGE)], [to_choice(UNUSABLE)]])
    def test_a_box_or_a_choice_is_a_word(self, said: list[dict[str, Any]]) -> None:
        assert not is_blank(annotation(*said))

    def test_a_skip_is_no_submit(self) -> None:
        assert not is_blank(annotation(was_cancelled=True))

    def test_boxes_of_a_removed_class_were_a_word(self) -> None:
        rust = annotation(to_region("r", LabeledBox("rust", DENT.box), SIZE_WH))
        assert parse_annotation(rust, FormerNames({}, ("rust",)))[0] is Verdict.INCOMPLETE
        assert not is_blank(rust)

    def test_what_was_chosen_and_what_was_written_become_one_note(self) -> None:
        why = {**to_choice("too dark"), "from_name": "why"}
        assert parse_note(annotation(to_reason("at night"), why)) == "too dark; at night"


class TestSeverity:
    def test_it_belongs_to_the_box_of_its_id_and_survives_a_rename(self) -> None:
        bad, other = to_region("a", DENT, SIZE_WH), to_region("b", DENT, SIZE_WH)
        _, boxes = parse_annotation(annotation(bad, to_severity(bad, "severe"), other), FormerNames({"dent": "ding"}))
        assert [(box.damage_class, box.severity) for box in boxes] == [("ding", "severe"), ("ding", None)]

    def test_what_is_no_level_of_ours_is_left_out(self) -> None:
        drawn = to_region("a", DENT, SIZE_WH)
        _, (box,) = parse_annotation(annotation(drawn, to_severity(drawn, "awful")))
        assert box.severity is None

    def test_an_annotation_that_is_sent_back_shows_it_again(self) -> None:
        item = PreAnnotation(1, 1, 2, 0.5, SIZE_WH, (Detection("dent", 1.0, DENT.box),), ("minor",))
        _, (box,) = parse_annotation(annotation(*to_prediction(item)["result"]))
        assert (box.damage_class, box.severity) == ("dent", "minor")


class TestOddRegions:
    def test_a_box_over_the_edge_is_clipped_to_the_image(self) -> None:
        _, (found,) = parse_annotation(annotation(region(x=90.0, width=20.0)))
        assert found.box.as_tuple() == pytest.approx((90.0, 20.0, 100.0, 60.0))

    def test_a_box_outside_or_without_area_is_dropped(self) -> None:
        assert parse_annotation(annotation(region(x=101.0), region(width=0.0))) == (Verdict.INCOMPLETE, ())

    def test_a_quarter_turn_gives_the_upright_box_around_it(self) -> None:
        # Turned clockwise about its top-left corner (50, 20): 20 px of width go down, 40 px of height go left.
        _, (found,) = parse_annotation(annotation(region(x=50.0, rotation=90.0)))
        assert found.box.as_tuple() == pytest.approx((10.0, 20.0, 50.0, 40.0))

    @pytest.mark.parametrize(
        "odd",
        [
            {**region(), "type": "polygonlabels"},
            region(rectanglelabels=[]),
            region(x=None),
            region(x=float("nan")),
            {**region(), "original_width": None},
            {**region(), "image_rotation": 90},
        ],
        ids=["another kind", "no label", "no number", "not finite", "no size", "turned image"],
    )
    def test_what_cannot_be_read_makes_the_annotation_incomplete(self, odd: dict[str, Any]) -> None:
        assert parse_annotation(annotation(region(), odd)) == (Verdict.INCOMPLETE, ())


def labels_of(config: str) -> dict[str, dict[str, str]]:
    view = ElementTree.fromstring(config)  # noqa: S314 - it is ours
    return {label.attrib["value"]: dict(label.attrib) for label in view.iter("Label")}


class TestFormerNames:
    FORMER = FormerNames({"dent": "ding"}, ("rust",))

    def test_a_renamed_class_keeps_its_first_name_as_what_label_studio_stores(self) -> None:
        label = labels_of(labeling_config(("scratch", "ding"), self.FORMER))["ding"]
        assert (label.get("alias"), label.get("background"), label.get("hotkey")) == ("dent", class_color(1), "2")

    def test_a_removed_class_is_known_and_not_offered(self) -> None:
        label = labels_of(labeling_config(("scratch", "ding"), self.FORMER))["rust"]
        assert (label.get("visible"), label.get("hotkey")) == ("false", "ctrl+alt+shift+a")

    def test_a_new_class_leaves_colors_and_hotkeys_of_the_others(self) -> None:
        before = labels_of(labeling_config(("scratch", "dent")))
        after = labels_of(labeling_config(("scratch", "dent", "crack")))
        assert {name: after[name] for name in before} == before

    def test_what_was_said_is_read_as_what_it_means_now(self) -> None:
        old = to_region("r", LabeledBox("dent", Box(1, 1, 9, 9)), (100, 80))
        _, (found,) = parse_annotation({"result": [old]}, self.FORMER)
        assert found.damage_class == "ding"

    def test_an_image_with_boxes_of_a_removed_class_alone_is_not_clean(self) -> None:
        old = to_region("r", LabeledBox("rust", Box(1, 1, 9, 9)), (100, 80))
        assert parse_annotation({"result": [old, to_choice(NO_DAMAGE)]}, self.FORMER) == (Verdict.INCOMPLETE, ())

    def test_a_pre_label_is_written_as_label_studio_knows_the_class(self) -> None:
        item = PreAnnotation(1, 1, 2, 0.5, (100, 80), (Detection("ding", 0.9, Box(1, 1, 9, 9)),))
        (sent,) = to_prediction(item, self.FORMER)["result"]
        assert sent["value"]["rectanglelabels"] == ["dent"]
