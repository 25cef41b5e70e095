"""What a YOLO network needs around its forward pass. NumPy and OpenCV only, so all engines share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from damageloop.domain.geometry import Box, iou_matrix
from damageloop.domain.prediction import Detection, DetectorAnswer
from damageloop.domain.release import STRIDE_PX
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
    """An image scaled into a network's input, with what leads back.

    Attributes:
        pixels: Shape (height, width, 3), uint8 RGB.
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

    def confidences(self) -> Floats:
        """Return the highest class score of every anchor, shape (n_anchors,)."""
        highest: Floats = self.output0[4:].max(axis=0)
        return highest

    def entropy_of(self, anchors: Indices) -> Floats | None:
        """Return the localization entropy of these anchors."""
        return None if self.dfl_entropy is None else self.dfl_entropy[anchors]

    def features_of(self, anchors: Indices) -> Floats | None:
        """Return the features of these anchors, shape (n, n_channels), in memory of their own."""
        if self.anchor_features is None:
            return None
        return np.ascontiguousarray(self.anchor_features[:, anchors].T, dtype=np.float32)


class AnchorOutput(Protocol):
    """One forward pass over one image, read where the engine has it: little of it is ever needed. See `RawOutput`."""

    @property
    def output0(self) -> Floats:
        """Return boxes and class scores, shape (4 + n_classes, n_anchors)."""

    @property
    def embedding(self) -> Floats:
        """Return pooled features, shape (n_features,)."""

    def confidences(self) -> Floats:
        """Return the highest class score of every anchor, shape (n_anchors,)."""

    def entropy_of(self, anchors: Indices) -> Floats | None:
        """Return the localization entropy of these anchors, or None where the model has none."""

    def features_of(self, anchors: Indices) -> Floats | None:
        """Return the features of these anchors, shape (n, n_channels), in memory of their own, or None."""


def size_of(image: RgbImage) -> tuple[int, int]:
    """Return width and height of an image array."""
    height, width = image.shape[:2]
    return width, height


class Canvas:
    """A network's input that one image after another is drawn into, without a copy between.

    Args:
        pixels: Shape (height, width, 3), uint8, of any content: the memory that the network reads.
    """

    def __init__(self, pixels: RgbImage) -> None:
        self._pixels = pixels
        self._inner_wh: tuple[int, int] | None = None

    def draw(self, image: RgbImage) -> Letterbox:
        """Scale the image to fit and pad it on both sides; what was drawn before is gone.

        Above and left of it come as many whole cells of the network's coarsest grid as fit into half of the padding.
        So its cells lie at the same places of an image in every shape of input, where they would else be up to half a
        cell apart, and boxes with them (docs/guides/engines.md). A 1280 x 720 image in a square of 640 becomes
        640 x 360 with 128 gray rows above and 152 below; in 640 x 480, with 32 and 88.
        """
        height, width = self._pixels.shape[:2]
        image_width, image_height = size_of(image)
        ratio = min(height / image_height, width / image_width)
        inner_wh = max(1, round(image_width * ratio)), max(1, round(image_height * ratio))
        left, top = (_whole_cells((side - inner) // 2) for side, inner in zip((width, height), inner_wh, strict=True))
        if inner_wh != self._inner_wh:
            # The last image had other margins.
            self._pixels.fill(PADDING_GRAY)
            self._inner_wh = inner_wh
        inner = self._pixels[top : top + inner_wh[1], left : left + inner_wh[0]]
        drawn = cv2.resize(image, inner_wh, dst=inner, interpolation=cv2.INTER_LINEAR)
        if drawn is not inner:
            # OpenCV took memory of its own.
            inner[...] = drawn
        return Letterbox(self._pixels, (inner_wh[0] / image_width, inner_wh[1] / image_height), (left, top))


def _whole_cells(margin_px: int) -> int:
    return margin_px // STRIDE_PX * STRIDE_PX


def letterbox(image: RgbImage, size: int | tuple[int, int]) -> Letterbox:
    """Return the image drawn on a new `Canvas`: a square of `size` pixels, or of this width and height."""
    width, height = (size, size) if isinstance(size, int) else size
    return Canvas(np.empty((height, width, 3), dtype=np.uint8)).draw(image)


def to_image_pixels(boxes_xywh: Floats, frame: Letterbox, size_wh: tuple[int, int]) -> Boxes:
    """Return centre boxes of the network's input, shape (n, 4), as xyxy image pixels, clipped to it."""
    centres, halves = boxes_xywh[:, :2].astype(np.float64), boxes_xywh[:, 2:].astype(np.float64) / 2.0
    corners = np.stack([centres - halves, centres + halves], axis=1)
    corners = (corners - np.array(frame.pad_xy)) / np.array(frame.scale_xy)
    clipped: Boxes = np.clip(corners, 0.0, np.array(size_wh, dtype=np.float64))
    return clipped.reshape(-1, 4)


def decode(
    raw: AnchorOutput, frame: Letterbox, size_wh: tuple[int, int], labels: tuple[str, ...], rules: DetectionRules
) -> DetectorAnswer:
    """Return the detections of one image, surest first, with embedding and the highest score of any anchor.

    Each anchor stands for its best class. Boxes are clipped to the image and those under a pixel are dropped. The
    answer shares no memory with `raw`.

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
    scores, confidences = raw.output0[4:], raw.confidences()
    candidates = np.flatnonzero(confidences >= rules.confidence_floor)
    boxes = to_image_pixels(raw.output0[:4, candidates].T, frame, size_wh)
    is_visible = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_BOX_SIDE_PX).all(axis=1)
    candidates, boxes = candidates[is_visible], boxes[is_visible]
    classes = scores[:, candidates].argmax(axis=0)
    kept = non_maximum_suppression(boxes, confidences[candidates], classes, rules)
    anchors = candidates[kept]
    return DetectorAnswer(
        _detections(raw, anchors, boxes[kept], [labels[index] for index in classes[kept]]),
        np.array(raw.embedding, dtype=np.float32),
        float(confidences.max(initial=0.0)),
        _box_features(raw, anchors),
    )


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


def side_entropy(side_logits: Floats) -> Floats:
    """Return the mean entropy of the four side distributions of anchors, divided by its maximum: 0 sure, 1 unsure.

    Args:
        side_logits: Shape (n_anchors, 4 * n_bins), the bins of a side beside one another. Equal logits give 1.
    """
    n_bins = side_logits.shape[1] // 4
    sides = side_logits.reshape(-1, 4, n_bins).astype(np.float64)
    sides -= sides.max(axis=2, keepdims=True)
    log_shares = sides - np.log(np.exp(sides).sum(axis=2, keepdims=True))
    entropy = -(np.exp(log_shares) * log_shares).sum(axis=2)
    shares: Floats = (entropy.mean(axis=1) / np.log(n_bins)).astype(np.float32)
    return shares


def _box_features(raw: AnchorOutput, anchors: Indices) -> Floats | None:
    """Return the features of these anchors, (n_anchors, n_channels), divided by their length; zeros stay zeros."""
    rows = raw.features_of(anchors)
    if rows is None:
        return None
    _check_finite(rows)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    features: Floats = np.divide(rows, lengths, out=rows, where=lengths > 0)
    return features


def _check(raw: AnchorOutput, labels: tuple[str, ...]) -> None:
    rows = raw.output0.shape[0]
    if raw.output0.ndim != 2 or rows != 4 + len(labels):
        raise DamageloopError(f"The model gives {rows - 4} classes, its manifest names {len(labels)}.")
    _check_finite(raw.output0)
    _check_finite(raw.embedding)


def _check_finite(values: Floats) -> None:
    if not np.isfinite(values).all():
        raise DamageloopError(_NOT_FINITE)


def _detections(raw: AnchorOutput, anchors: Indices, boxes: Boxes, names: list[str]) -> tuple[Detection, ...]:
    """Return one detection for each anchor with its box and the name of its best class."""
    entropies = raw.entropy_of(anchors)
    if entropies is not None:
        _check_finite(entropies)
    entropy_of: list[float | None] = [None] * len(anchors) if entropies is None else entropies.tolist()
    scores: list[list[float]] = raw.output0[4:, anchors].T.tolist()
    return tuple(
        Detection(
            damage_class=name,
            confidence=max(class_scores),
            box=Box(*box),
            class_scores=tuple(class_scores),
            localization_entropy=entropy,
        )
        for name, box, class_scores, entropy in zip(names, boxes.tolist(), scores, entropy_of, strict=True)
    )
