"""What a YOLO network needs around its forward pass. NumPy and OpenCV only, so all engines share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from damageloop.domain.geometry import Box, iou_matrix
from damageloop.domain.prediction import Detection, DetectorAnswer
from damageloop.errors import DamageloopError
from damageloop.ports import RgbImage

Floats = NDArray[np.float32]
Boxes = NDArray[np.float64]
Indices = NDArray[np.intp]

# The gray that the network saw around images in training.
PADDING_GRAY = 114
# Nothing smaller can be seen or corrected by a person.
MIN_BOX_SIDE_PX = 1.0
_NOT_FINITE = "The model gave a number that is not finite: its weights or its export are broken."


@dataclass(frozen=True, slots=True)
class DetectionRules:
    """Which boxes are kept, from `score` in params.yaml."""

    confidence_floor: float
    nms_iou: float
    max_detections: int


class Letterbox(NamedTuple):
    """An image scaled into a square, with what leads back.

    Attributes:
        pixels: Shape (size, size, 3), uint8 RGB.
        scale_xy: Input pixels for one image pixel; the two differ a little because sides are whole pixels.
        pad_xy: Input pixels left of and above the image.
    """

    pixels: RgbImage
    scale_xy: tuple[float, float]
    pad_xy: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RawOutput:
    """What one forward pass over one image gives.

    Attributes:
        output0: Shape (4 + n_classes, n_anchors): centre x, y, width, height in input pixels; class scores.
        dfl_entropy: Shape (n_anchors,), 0 to 1, or None where the model has no side distributions.
        embedding: Shape (n_features,).
        anchor_features: Shape (n_channels, n_anchors): the class branch before its last layer, or None in releases
            that were exported without it.
    """

    output0: Floats
    dfl_entropy: Floats | None
    embedding: Floats
    anchor_features: Floats | None = None


def size_of(image: RgbImage) -> tuple[int, int]:
    """Return width and height of an image array."""
    height, width = image.shape[:2]
    return width, height


def letterbox(image: RgbImage, size: int) -> Letterbox:
    """Scale the image to fit a square of `size` pixels and pad it on both sides.

    A 200 x 100 image at size 64 becomes 64 x 32 with 16 gray rows above and below.
    """
    height, width = image.shape[:2]
    ratio = min(size / height, size / width)
    new_width, new_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    left, top = (size - new_width) // 2, (size - new_height) // 2
    pixels = np.full((size, size, 3), PADDING_GRAY, dtype=np.uint8)
    pixels[top : top + new_height, left : left + new_width] = cv2.resize(
        image, (new_width, new_height), interpolation=cv2.INTER_LINEAR
    )
    return Letterbox(pixels, (new_width / width, new_height / height), (left, top))


def to_image_pixels(boxes_xywh: Floats, frame: Letterbox, size_wh: tuple[int, int]) -> Boxes:
    """Return centre boxes of the network's input, shape (n, 4), as xyxy image pixels, clipped to it."""
    centres, halves = boxes_xywh[:, :2].astype(np.float64), boxes_xywh[:, 2:].astype(np.float64) / 2.0
    corners = np.stack([centres - halves, centres + halves], axis=1)
    corners = (corners - np.array(frame.pad_xy)) / np.array(frame.scale_xy)
    clipped: Boxes = np.clip(corners, 0.0, np.array(size_wh, dtype=np.float64))
    return clipped.reshape(-1, 4)


def decode(
    raw: RawOutput, frame: Letterbox, size_wh: tuple[int, int], labels: tuple[str, ...], rules: DetectionRules
) -> DetectorAnswer:
    """Return the detections of one image, surest first, with embedding and the highest score of any anchor.

    Each anchor stands for its best class. Boxes are clipped to the image and those under a pixel are dropped.

    Args:
        raw: One forward pass.
        frame: The letterbox that the pass saw.
        size_wh: Size of the image itself.
        labels: Class names in the order of the scores.
        rules: What is kept.

    Raises:
        DamageloopError: If an output has another shape than the labels ask for, or is not finite.
    """
    _check(raw, labels)
    scores = raw.output0[4:]
    confidences = scores.max(axis=0)
    candidates = np.flatnonzero(confidences >= rules.confidence_floor)
    boxes = to_image_pixels(raw.output0[:4, candidates].T, frame, size_wh)
    is_visible = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_BOX_SIDE_PX).all(axis=1)
    candidates, boxes = candidates[is_visible], boxes[is_visible]
    classes = scores[:, candidates].argmax(axis=0)
    kept = non_maximum_suppression(boxes, confidences[candidates], classes, rules)
    detections = tuple(_detection(raw, int(candidates[i]), boxes[i], labels[int(classes[i])]) for i in kept)
    top_score = float(confidences.max(initial=0.0))
    features = _box_features(raw, candidates[kept])
    return DetectorAnswer(detections, np.array(raw.embedding, dtype=np.float32), top_score, features)


def non_maximum_suppression(boxes: Boxes, confidences: Floats, classes: Indices, rules: DetectionRules) -> list[int]:
    """Return indices of the boxes that stay, by falling confidence; ties go to the lower index.

    A box falls when a surer one of its class overlaps it by more than `nms_iou`.
    """
    remaining = np.argsort(-confidences, kind="stable")
    kept: list[int] = []
    while len(remaining) and len(kept) < rules.max_detections:
        best, rest = remaining[0], remaining[1:]
        kept.append(int(best))
        overlaps = iou_matrix(boxes[best : best + 1], boxes[rest])[0]
        remaining = rest[(overlaps <= rules.nms_iou) | (classes[rest] != classes[best])]
    return kept


def _box_features(raw: RawOutput, anchors: Indices) -> Floats | None:
    """Return the features of these anchors, (n_anchors, n_channels), divided by their length; zeros stay zeros."""
    if raw.anchor_features is None:
        return None
    rows = np.ascontiguousarray(raw.anchor_features[:, anchors].T, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise DamageloopError(_NOT_FINITE)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    features: Floats = np.divide(rows, lengths, out=rows, where=lengths > 0)
    return features


def _check(raw: RawOutput, labels: tuple[str, ...]) -> None:
    rows = raw.output0.shape[0]
    if raw.output0.ndim != 2 or rows != 4 + len(labels):
        raise DamageloopError(f"The model gives {rows - 4} classes, its manifest names {len(labels)}.")
    arrays = [raw.output0, raw.embedding] + ([] if raw.dfl_entropy is None else [raw.dfl_entropy])
    if not all(np.isfinite(array).all() for array in arrays):
        raise DamageloopError(_NOT_FINITE)


def _detection(raw: RawOutput, anchor: int, box: Boxes, damage_class: str) -> Detection:
    class_scores = tuple(float(score) for score in raw.output0[4:, anchor])
    return Detection(
        damage_class=damage_class,
        confidence=max(class_scores),
        box=Box(*(float(value) for value in box)),
        class_scores=class_scores,
        localization_entropy=None if raw.dfl_entropy is None else float(raw.dfl_entropy[anchor]),
    )
