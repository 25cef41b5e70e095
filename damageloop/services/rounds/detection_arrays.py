"""From detections of many images to the flat arrays that strategies read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.arrays import FloatArray, IntArray
from damageloop.domain.prediction import Detection


@dataclass(frozen=True, slots=True, eq=False)
class DetectionArrays:
    """All boxes, image after image; the attributes are those of `active_learning.protocol.Candidates`."""

    offsets: IntArray
    box_scores: FloatArray
    box_class_scores: FloatArray
    localization_entropy: FloatArray
    boxes_xyxyn: FloatArray


def detection_arrays(
    detections: Sequence[Sequence[Detection]], sizes_wh: Sequence[tuple[int, int]], n_classes: int
) -> DetectionArrays:
    """Return the boxes of all images in one.

    A box from (10, 20) to (50, 60) on a 100 x 200 image has the shares (0.1, 0.1, 0.5, 0.3); an edge that rounding
    to pixels put just outside is cut off.

    Args:
        detections: Of each image, in any order.
        sizes_wh: Width and height of each image in pixels.
        n_classes: Number of class scores of a box.
    """
    offsets = offsets_of(detections)
    boxes = [box for part in detections for box in part]
    corners = np.array([box.box.as_tuple() for box in boxes], dtype=np.float64).reshape(-1, 4)
    sizes = np.array(sizes_wh, dtype=np.float64).reshape(-1, 2).repeat(np.diff(offsets), axis=0)
    return DetectionArrays(
        offsets=offsets,
        box_scores=np.array([box.confidence for box in boxes], dtype=np.float64),
        box_class_scores=np.array([box.class_scores for box in boxes], dtype=np.float64).reshape(-1, n_classes),
        localization_entropy=np.array([box.localization_entropy or 0.0 for box in boxes], dtype=np.float64),
        boxes_xyxyn=np.clip(corners / np.tile(sizes, 2), 0.0, 1.0),
    )


def offsets_of(detections: Sequence[Sequence[Detection]]) -> IntArray:
    """Return where the boxes of each image begin, and the number of all: two, none and one give (0, 2, 2, 3)."""
    return np.concatenate(([0], np.cumsum([len(part) for part in detections]))).astype(np.int64)
