"""Numbers around the forward pass, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damageloop.adapters.engines.yolo import (
    PADDING_GRAY,
    Canvas,
    DetectionRules,
    RawOutput,
    decode,
    letterbox,
    non_maximum_suppression,
    side_entropy,
    to_image_pixels,
)
from damageloop.domain.release import InputShape
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
    frame = letterbox(white(200, 100), 128)
    assert frame.pixels.shape == (128, 128, 3)
    assert frame.scale_xy == (0.64, 0.64)
    assert frame.pad_xy == (0, 32)
    assert (frame.pixels[:32] == PADDING_GRAY).all()
    assert (frame.pixels[32:96] == 255).all()
    assert (frame.pixels[96:] == PADDING_GRAY).all()


def test_letterbox_puts_what_is_no_whole_cell_of_padding_behind() -> None:
    # 100 x 51 at 192: height 51 * 1.92 = 97.92, so 98 rows; 94 are left, a cell of 32 above and 62 below.
    frame = letterbox(white(100, 51), 192)
    assert frame.pad_xy == (0, 32)
    assert frame.scale_xy == (1.92, 98 / 51)
    assert (frame.pixels[32:130] == 255).all()
    assert (frame.pixels[130:] == PADDING_GRAY).all()


@given(width=st.integers(1, 400), height=st.integers(1, 400), shape=st.sampled_from(InputShape))
def test_the_coarsest_cells_lie_at_the_same_places_of_a_photo_in_every_shape(
    width: int, height: int, shape: InputShape
) -> None:
    rows, columns = shape.size_hw(256)
    frame = letterbox(white(width, height), (columns, rows))
    left, top = frame.pad_xy
    assert (left % 32, top % 32) == (0, 0)
    # As near to the middle as whole cells allow: 63 px more on the other side at most.
    right, below = columns - left - width * frame.scale_xy[0], rows - top - height * frame.scale_xy[1]
    assert -1e-6 <= right - left <= 63.5
    assert -1e-6 <= below - top <= 63.5


def test_letterbox_keeps_an_image_that_is_one_pixel_wide() -> None:
    assert letterbox(white(1, 500), 64).pixels.shape == (64, 64, 3)


def test_letterbox_fits_an_input_that_is_no_square() -> None:
    # 400 x 100 in 256 x 192: as wide as in a square of 256, with 64 gray rows above and below.
    frame = letterbox(white(400, 100), (256, 192))
    assert frame.pixels.shape == (192, 256, 3)
    assert (frame.scale_xy, frame.pad_xy) == ((0.64, 0.64), (0, 64))
    assert (frame.pixels[64:128] == 255).all()
    assert (frame.pixels[[63, 128]] == PADDING_GRAY).all()


def test_a_canvas_is_drawn_over_in_place_whatever_was_on_it() -> None:
    memory = np.zeros((64, 64, 3), dtype=np.uint8)
    canvas = Canvas(memory)
    for size_wh in [(200, 100), (100, 200), (64, 64), (33, 200), (33, 200)]:
        frame = canvas.draw(white(*size_wh))
        assert frame.pixels is memory
        assert (memory == letterbox(white(*size_wh), 64).pixels).all()


def test_a_canvas_that_is_part_of_larger_memory_leaves_the_rest_alone() -> None:
    memory = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    Canvas(memory[1]).draw(white(90, 40))
    assert memory[0].max() == 0
    assert (memory[1] == letterbox(white(90, 40), 64).pixels).all()


def test_side_entropy_is_1_for_equal_bins_0_for_a_sure_one_and_the_mean_over_the_sides() -> None:
    equal, sure = [7.0] * 4, [0.0, 0.0, 500.0, 0.0]
    logits = np.array([equal * 4, sure * 4, equal + sure * 3], dtype=np.float32)
    assert side_entropy(logits) == pytest.approx(np.array([1.0, 0.0, 0.25]))


def test_side_entropy_of_shares_of_a_half_and_two_quarters() -> None:
    # 0.5 ln 2 + 2 * 0.25 ln 4 = 1.5 ln 2, over ln 4: 0.75. A fourth bin is left out by its logit.
    logits = np.log([0.5, 0.25, 0.25, 1e-30]).astype(np.float32)
    assert side_entropy(np.tile(logits, 4)[None]) == pytest.approx(np.array([0.75]))


def test_boxes_are_mapped_back_to_image_pixels() -> None:
    # Centre (64, 64) and size 32 x 16 in a 128 square of a 200 x 100 image: x 48 to 80 over 0.64, y 56 to 72 less 32.
    frame = letterbox(white(200, 100), 128)
    boxes = to_image_pixels(np.array([[64, 64, 32, 16]], dtype=np.float32), frame, (200, 100))
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
    raw = raw_output([(32, 16, 9, 9, 0.5, 0), (32, 60, 6, 6, 0.9, 0), (32, 16, 0.1, 9, 0.9, 0)])
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
