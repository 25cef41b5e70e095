"""What a model said of one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.geometry import Box, mirrored
from damageloop.domain.labels import FormerNames


@dataclass(frozen=True, slots=True)
class Detection:
    """One predicted box.

    Attributes:
        confidence: Highest class score, 0 to 1.
        class_scores: Sigmoid score of every class, in the order of the model's labels.
        localization_entropy: Mean entropy of the four side distributions, divided by ln 16: 0 sure, 1 unsure.
            None where the model has no such distribution.
    """

    damage_class: str
    confidence: float
    box: Box
    class_scores: tuple[float, ...] = ()
    localization_entropy: float | None = None


@dataclass(frozen=True, slots=True)
class DetectorAnswer:
    """One forward pass over one image: detections after NMS down to the floor, sorted by falling confidence.

    Attributes:
        embedding: Pooled features, shape (n_features,), float32.
        top_score: Highest class score of any anchor, also below the floor.
        box_features: Shape (n_detections, n_features), float32, each row of length 1: what the class branch saw at the
            box. None where the model was exported without it.
    """

    detections: tuple[Detection, ...]
    embedding: NDArray[np.float32]
    top_score: float
    box_features: NDArray[np.float32] | None = None

    def told_in(self, seen_wh: tuple[int, int], size_wh: tuple[int, int]) -> DetectorAnswer:
        """Return the answer to a reduced copy of size `seen_wh` with boxes in the pixels of the photo itself."""
        if seen_wh == size_wh:
            return self
        across, down = size_wh[0] / seen_wh[0], size_wh[1] / seen_wh[1]
        moved = (replace(found, box=found.box.scaled(across, down)) for found in self.detections)
        return replace(self, detections=tuple(moved))


@dataclass(frozen=True, slots=True)
class Prediction:
    """All detections of one model version on one image.

    Attributes:
        mirrored: What the same version says of the mirrored image, with boxes mirrored back; None where nobody asked.
    """

    image_id: int
    model_version: int
    detections: tuple[Detection, ...]
    top_score: float
    mirrored: tuple[Detection, ...] | None = None


@dataclass(frozen=True, slots=True)
class PreAnnotation:
    """A prediction on its way to the annotation tool.

    Attributes:
        rank_score: Place in the round from 1, divided by its length and one: the tool serves the lowest first. 0 comes
            before every round.
        detections: What the annotator shall see; empty for an audited image.
        severities: Of each of them, where they are what a person drew and graded.
    """

    task_id: int
    image_id: int
    model_version: int
    rank_score: float
    size_wh: tuple[int, int]
    detections: tuple[Detection, ...]
    severities: tuple[str | None, ...] = ()


def mirrored_back(detections: Sequence[Detection], width: int) -> tuple[Detection, ...]:
    """Return detections of an image that was mirrored left to right with their boxes in the image as it is."""
    return tuple(replace(detection, box=mirrored(detection.box, width)) for detection in detections)


def current_detections(detections: Sequence[Detection], former: FormerNames) -> tuple[Detection, ...]:
    """Return detections under the names that their classes have now, without those of removed classes."""
    named = ((former.current(found.damage_class), found) for found in detections)
    return tuple(replace(found, damage_class=name) for name, found in named if name is not None)


def refusal_reason(item: PreAnnotation, classes: tuple[str, ...]) -> str | None:
    """Return why a pre-annotation must not be sent, in words, or None when it is sound."""
    if not (math.isfinite(item.rank_score) and 0.0 <= item.rank_score <= 1.0):
        return f"rank score {item.rank_score} is outside 0 to 1"
    for number, detection in enumerate(item.detections, start=1):
        if detection.damage_class not in classes:
            return f"box {number}: class {detection.damage_class!r} is not in the labeling configuration"
        if not (math.isfinite(detection.confidence) and 0.0 <= detection.confidence <= 1.0):
            return f"box {number}: confidence {detection.confidence} is outside 0 to 1"
        if not detection.box.is_inside(item.size_wh, tolerance_px=0.5):
            return f"box {number}: {detection.box.as_tuple()} is outside the {item.size_wh} image"
    return None
