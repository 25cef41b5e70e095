"""cleanlab's object-detection ranking (ObjectLab) as a `LabelChecker`. It is imported on first use: it loads pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box, boxes_array
from damageloop.domain.label_error import JudgedImage, LabelCheck
from damageloop.domain.prediction import Detection


@dataclass(frozen=True, slots=True)
class ObjectLabChecker:
    """Ranks annotations by three kinds of doubt [tkachenko2023].

    Attributes:
        sure_score: Confidence from which the model is believed about a missing box or another class. cleanlab's own
            0.95 is for models that say so of half of their boxes; a small detector hardly ever does.
        located_score: Confidence above which its box of the same class tells where the damage is.
    """

    classes: tuple[str, ...]
    sure_score: float
    located_score: float

    def __call__(self, images: Sequence[JudgedImage]) -> list[LabelCheck]:
        """Return a check for each image, in order; none for none. A box of an unknown class is a KeyError of ours."""
        if not images:
            return []
        from cleanlab.object_detection import rank

        codes = {name: code for code, name in enumerate(self.classes)}
        # cleanlab gives no score below the least likeness of any two boxes it is shown. Of photos with one damage each
        # that may be 0.8, which would hide every swapped class: so it is shown two boxes that have nothing in common.
        shown = [*images, _unlike_boxes(self.classes[0])]
        # What is less sure than both thresholds changes no score, and each pair of boxes costs time.
        kept = [self._kept(image) for image in shown]
        data: dict[str, Any] = {
            "labels": [_drawn(image, codes) for image in shown],
            "predictions": [_predicted(image, places, codes) for image, places in zip(shown, kept, strict=True)],
        }
        overlooked = rank.compute_overlooked_box_scores(**data, high_probability_threshold=self.sure_score)
        misplaced = rank.compute_badloc_box_scores(**data, low_probability_threshold=self.located_score)
        swapped = rank.compute_swap_box_scores(**data, high_probability_threshold=self.sure_score)
        # The mean of logarithms with equal weights, as cleanlab's `get_label_quality_scores` takes it.
        pooled = np.stack([rank.pool_box_scores_per_image(scores) for scores in (overlooked, misplaced, swapped)])
        qualities = np.cbrt(pooled.prod(axis=0))
        return [
            LabelCheck(
                quality=float(qualities[number]),
                overlooked=_in_given_order(image, kept[number], codes, overlooked[number]),
                misplaced=tuple(misplaced[number].tolist()),
                swapped=tuple(swapped[number].tolist()),
            )
            for number, image in enumerate(images)
        ]

    def _kept(self, image: JudgedImage) -> list[int]:
        floor = min(self.sure_score, self.located_score)
        return [place for place, seen in enumerate(image.detections) if seen.confidence >= floor]


def _unlike_boxes(name: str) -> JudgedImage:
    """Return an image with a drawn box and a detection 200 pixels apart: a likeness of 0.1 e^-20 = 2e-10."""
    detection = Detection(name, 1.0, Box(200.0, 0.0, 210.0, 10.0))
    return JudgedImage((LabeledBox(name, Box(0.0, 0.0, 10.0, 10.0)),), (detection,))


def _drawn(image: JudgedImage, codes: dict[str, int]) -> dict[str, Any]:
    classes = np.array([codes[box.damage_class] for box in image.drawn], dtype=np.int64)
    return {"bboxes": boxes_array([box.box for box in image.drawn]), "labels": classes}


def _predicted(image: JudgedImage, places: Sequence[int], codes: dict[str, int]) -> list[Any]:
    """Return one array for each class, rows of xyxy pixels and confidence."""
    rows: list[list[tuple[float, ...]]] = [[] for _ in codes]
    for place in places:
        seen = image.detections[place]
        rows[codes[seen.damage_class]].append((*seen.box.as_tuple(), seen.confidence))
    return [np.array(part, dtype=np.float64).reshape(-1, 5) for part in rows]


def _in_given_order(image: JudgedImage, places: Sequence[int], codes: dict[str, int], scores: Any) -> tuple[float, ...]:
    """Return cleanlab's scores, which it gives class by class, for each detection; 1 where it has no opinion."""
    by_class = sorted(places, key=lambda place: codes[image.detections[place].damage_class])
    found = [1.0] * len(image.detections)
    for place, score in zip(by_class, scores, strict=True):
        found[place] = 1.0 if np.isnan(score) else float(score)
    return tuple(found)
