"""Boxes in canonical form (absolute pixels, xyxy, top-left origin of the upright image) and their conversions.

Label Studio's percent, YOLO's normalised centre and COCO's xywh formats are made and read here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in absolute pixels.

    Raises:
        InvalidInputError: If a coordinate is not finite or the rectangle has no area.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def __post_init__(self) -> None:
        coordinates = (self.x_min, self.y_min, self.x_max, self.y_max)
        if not all(math.isfinite(value) for value in coordinates):
            raise InvalidInputError(f"A box has a coordinate that is not finite: {coordinates}.")
        if self.x_max <= self.x_min or self.y_max <= self.y_min:
            raise InvalidInputError(f"A box has no area: {coordinates}.")

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min

    @property
    def area(self) -> float:
        return self.width * self.height

    def as_tuple(self) -> tuple[float, float, float, float]:
        return (self.x_min, self.y_min, self.x_max, self.y_max)

    def is_inside(self, size_wh: tuple[int, int], tolerance_px: float = 0.0) -> bool:
        """Tell whether the box lies within an image of `size_wh` pixels, give or take `tolerance_px`."""
        width, height = size_wh
        return (
            self.x_min >= -tolerance_px
            and self.y_min >= -tolerance_px
            and self.x_max <= width + tolerance_px
            and self.y_max <= height + tolerance_px
        )

    def scaled(self, across: float, down: float) -> Box:
        """Return the box in an image that is `across` times as wide and `down` times as high."""
        return Box(self.x_min * across, self.y_min * down, self.x_max * across, self.y_max * down)

    def clipped(self, size_wh: tuple[int, int]) -> Box | None:
        """Return the part inside the image, or None when nothing is left."""
        width, height = size_wh
        x_min, x_max = max(0.0, self.x_min), min(float(width), self.x_max)
        y_min, y_max = max(0.0, self.y_min), min(float(height), self.y_max)
        if x_max <= x_min or y_max <= y_min:
            return None
        return Box(x_min, y_min, x_max, y_max)


def mirrored(box: Box, width: int) -> Box:
    """Return where the box lies when the image, `width` pixels wide, is mirrored left to right.

    A box (10, 20, 30, 60) in an image 100 wide is (70, 20, 90, 60), and mirrored again it is where it was.
    """
    return Box(width - box.x_max, box.y_min, width - box.x_min, box.y_max)


def to_percent(box: Box, size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return `(x, y, width, height)` in percent of the image, as Label Studio writes regions.

    A box (10, 20, 30, 60) in a 100 x 200 image is (10, 10, 20, 20).
    """
    width, height = size_wh
    return (
        100.0 * box.x_min / width,
        100.0 * box.y_min / height,
        100.0 * box.width / width,
        100.0 * box.height / height,
    )


def from_percent(xywh_percent: tuple[float, float, float, float], size_wh: tuple[int, int]) -> Box:
    """Return the box of a Label Studio region `(x, y, width, height)` in percent."""
    x, y, w, h = xywh_percent
    width, height = size_wh
    return Box(x * width / 100.0, y * height / 100.0, (x + w) * width / 100.0, (y + h) * height / 100.0)


def to_xywhn(box: Box, size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return YOLO's `(x_centre, y_centre, width, height)`, each a share of the image.

    A box (10, 20, 30, 60) in a 100 x 200 image is (0.2, 0.2, 0.2, 0.2).
    """
    width, height = size_wh
    return (
        (box.x_min + box.x_max) / 2.0 / width,
        (box.y_min + box.y_max) / 2.0 / height,
        box.width / width,
        box.height / height,
    )


def from_coco(xywh_px: tuple[float, float, float, float]) -> Box:
    """Return the box of a COCO `bbox` (x, y, width, height in pixels)."""
    x, y, w, h = xywh_px
    return Box(x, y, x + w, y + h)


def boxes_array(boxes: list[Box] | tuple[Box, ...]) -> FloatArray:
    """Return the boxes as an array of shape (n, 4), xyxy pixels; (0, 4) when there is none."""
    return np.array([box.as_tuple() for box in boxes], dtype=np.float64).reshape(-1, 4)


def iou_matrix(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Return the intersection over union of every pair, shape (n_first, n_second), values in [0, 1].

    Two unit squares that overlap by half have 1/3.
    """
    top_left = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    bottom_right = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    overlap = np.clip(bottom_right - top_left, 0.0, None).prod(axis=2)
    union = _areas(first_xyxy)[:, None] + _areas(second_xyxy)[None, :] - overlap
    result: FloatArray = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return result


def _areas(boxes_xyxy: FloatArray) -> FloatArray:
    areas: FloatArray = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    return areas
