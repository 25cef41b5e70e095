"""Numbers around the forward pass, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from damageloop.adapters.engines.yolo import (
    PADDING_GRAY,
    DetectionRules,
    RawOutput,
    decode,
    letterbox,
    non_maximum_suppression,
    to_image_pixels,
)
from damageloop.errors import DamageloopError

RULES = DetectionRules(confidence_floor=0.1, nms_iou=0.5, max_detections=10)
LABELS = ("scratch", "dent")


def raw_output(anchors: list[tuple[float, ...]], entropy: list[float] | None = None) -> RawOutput:
    """Return an output whose anchors are (cx, cy, w, h, scratch score, dent score)."""
    output0 = np.array(anchors, dtype=np.float32).reshape(-1, 6).T
    sides = None if entropy is None else np.array(entropy, dtype=np.float32)
    return RawOutput(output0, sides, np.array([1.0, 2.0], dtype=np.float32))


def white(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 255, dtype=np.uint8)


def test_letterbox_of_a_wide_image_pads_above_and_below() -> None:
    frame = letterbox(white(200, 100), 64)
    assert frame.pixels.shape == (64, 64, 3)
    assert frame.scale_xy == (0.32, 0.32)
    assert frame.pad_xy == (0, 16)
    assert (frame.pixels[:16] == PADDING_GRAY).all()
    assert (frame.pixels[16:48] == 255).all()
    assert (frame.pixels[48:] == PADDING_GRAY).all()


def test_letterbox_puts_the_odd_pixel_of_padding_behind() -> None:
    # 100 x 51 at 64: height 51 * 0.64 = 32.64, so 33 rows; 31 are left, 15 above and 16 below.
    frame = letterbox(white(100, 51), 64)
    assert frame.pad_xy == (0, 15)
    assert frame.scale_xy == (0.64, 33 / 51)


def test_letterbox_keeps_an_image_that_is_one_pixel_wide() -> None:
    assert letterbox(white(1, 500), 64).pixels.shape == (64, 64, 3)


def test_boxes_are_mapped_back_to_image_pixels() -> None:
    # Centre (32, 32) and size 16 x 8 in a 64 square of a 200 x 100 image: x 24 to 40 over 0.32, y 28 to 36 less 16.
    frame = letterbox(white(200, 100), 64)
    boxes = to_image_pixels(np.array([[32, 32, 16, 8]], dtype=np.float32), frame, (200, 100))
    assert boxes == pytest.approx(np.array([[75.0, 37.5, 125.0, 62.5]]))


def test_no_box_over_the_floor_leaves_the_top_score_and_the_embedding() -> None:
    answer = decode(raw_output([(32, 32, 9, 9, 0.09, 0.02)]), letterbox(white(64, 64), 64), (64, 64), LABELS, RULES)
    assert answer.detections == ()
    assert answer.top_score == pytest.approx(0.09)
    assert answer.embedding.tolist() == [1.0, 2.0]


def test_detections_are_clipped_and_sorted_and_keep_their_anchor_s_values() -> None:
    raw = raw_output([(4, 4, 16, 16, 0.3, 0.1), (40, 40, 10, 10, 0.2, 0.8)], entropy=[0.25, 0.75])
    answer = decode(raw, letterbox(white(64, 64), 64), (64, 64), LABELS, RULES)
    assert [d.damage_class for d in answer.detections] == ["dent", "scratch"]
    assert answer.detections[0].class_scores == pytest.approx((0.2, 0.8))
    assert answer.detections[0].localization_entropy == 0.75
    assert answer.detections[1].box.as_tuple() == (0.0, 0.0, 12.0, 12.0)
    assert answer.top_score == pytest.approx(0.8)


def test_box_features_are_gathered_by_detection_and_scaled_to_length_1() -> None:
    # The second anchor is the surest, the third is under the floor, the fourth saw nothing.
    anchors: list[tuple[float, ...]] = [
        (10, 10, 8, 8, 0.5, 0),
        (40, 40, 8, 8, 0.9, 0),
        (60, 10, 4, 4, 0.01, 0),
        (10, 50, 8, 8, 0.2, 0),
    ]
    features = np.array([[3, 0, 9, 0], [4, 2, 9, 0]], dtype=np.float32)
    raw = replace(raw_output(anchors), anchor_features=features)
    answer = decode(raw, letterbox(white(64, 64), 64), (64, 64), LABELS, RULES)
    assert answer.box_features is not None
    assert answer.box_features == pytest.approx(np.array([[0, 1], [0.6, 0.8], [0, 0]]))
    assert features[0, 0] == 3


def test_box_features_of_no_detection_have_no_rows_and_a_model_without_them_gives_none() -> None:
    raw = raw_output([(32, 32, 9, 9, 0.05, 0)])
    frame = letterbox(white(64, 64), 64)
    assert decode(raw, frame, (64, 64), LABELS, RULES).box_features is None
    with_features = replace(raw, anchor_features=np.ones((5, 1), dtype=np.float32))
    found = decode(with_features, frame, (64, 64), LABELS, RULES).box_features
    assert found is not None
    assert found.shape == (0, 5)


def test_a_box_feature_that_is_not_finite_is_refused() -> None:
    raw = replace(raw_output([(32, 32, 9, 9, 0.5, 0)]), anchor_features=np.array([[np.nan]], dtype=np.float32))
    with pytest.raises(DamageloopError, match="not finite"):
        decode(raw, letterbox(white(64, 64), 64), (64, 64), LABELS, RULES)


def test_boxes_without_area_inside_the_image_are_dropped() -> None:
    # The second lies in the padding, the third is thinner than a pixel.
    raw = raw_output([(32, 32, 9, 9, 0.5, 0), (32, 4, 6, 6, 0.9, 0), (32, 32, 0.1, 9, 0.9, 0)])
    answer = decode(raw, letterbox(white(200, 100), 64), (200, 100), LABELS, RULES)
    assert [d.confidence for d in answer.detections] == [0.5]


@pytest.mark.parametrize("factor", [2, 3])
def test_a_larger_image_gives_larger_boxes_and_nothing_else(factor: int) -> None:
    raw = raw_output([(20, 30, 10, 12, 0.6, 0.1), (40, 30, 10, 4, 0.2, 0.4)], entropy=[0.1, 0.2])
    small = decode(raw, letterbox(white(50, 40), 64), (50, 40), LABELS, RULES)
    size_wh = (50 * factor, 40 * factor)
    large = decode(raw, letterbox(white(*size_wh), 64), size_wh, LABELS, RULES)
    for a, b in zip(small.detections, large.detections, strict=True):
        assert np.array(b.box.as_tuple()) == pytest.approx(np.array(a.box.as_tuple()) * factor)
        assert (a.class_scores, a.localization_entropy) == (b.class_scores, b.localization_entropy)


def test_suppression_keeps_the_surest_of_a_class_and_spares_others() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [0, 6, 10, 16]], dtype=float)
    confidences = np.array([0.5, 0.9, 0.4, 0.3], dtype=np.float32)
    classes = np.array([0, 0, 1, 0])
    assert non_maximum_suppression(boxes, confidences, classes, RULES) == [1, 2, 3]


def test_suppression_of_equal_boxes_keeps_the_first() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 3, dtype=float)
    same = np.full(3, 0.5, dtype=np.float32)
    assert non_maximum_suppression(boxes, same, np.zeros(3, dtype=np.intp), RULES) == [0]


def test_suppression_of_nothing_is_nothing() -> None:
    none = np.zeros(0, dtype=np.float32)
    assert non_maximum_suppression(np.zeros((0, 4)), none, np.zeros(0, dtype=np.intp), RULES) == []


def test_no_more_than_max_detections_are_kept() -> None:
    raw = raw_output([(x, 32, 2, 2, 0.2 + x / 1000, 0) for x in range(4, 60, 4)])
    rules = DetectionRules(confidence_floor=0.1, nms_iou=0.5, max_detections=3)
    answer = decode(raw, letterbox(white(64, 64), 64), (64, 64), LABELS, rules)
    assert [round(d.confidence, 3) for d in answer.detections] == [0.256, 0.252, 0.248]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(DamageloopError, match="not finite"):
        decode(raw_output([(1, 1, 2, bad, 0.0, 0)]), letterbox(white(64, 64), 64), (64, 64), LABELS, RULES)


def test_other_classes_than_the_manifest_s_are_refused() -> None:
    with pytest.raises(DamageloopError, match="gives 2 classes, its manifest names 1"):
        decode(raw_output([(1, 1, 2, 2, 0, 0)]), letterbox(white(64, 64), 64), (64, 64), ("dent",), RULES)
