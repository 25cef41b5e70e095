"""How well a model's boxes agree with what humans drew: matching, average precision, precision and recall.

Every figure takes weights per image, so that a bootstrap over groups is a reweighting of records matched and sorted
once. Numbers only: no file, no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import boxes_array, iou_matrix
from damageloop.domain.prediction import Detection
from damageloop.domain.severity import area_share

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

IOU_THRESHOLDS: FloatArray = np.linspace(0.5, 0.95, 10)
RECALL_GRID: FloatArray = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, eq=False)
class ImageEvaluation:
    """One model's detections on one image, each matched with the truth or not.

    Attributes:
        image: What names the image, the same for every model.
        group: What keeps photos of one car together.
        truth_counts: Number of true boxes by class.
        classes: Class of each detection, (n_detections,), by falling confidence.
        confidences: (n_detections,), 0 to 1.
        hits: (n_detections, 10): whether the detection found a box of its own at each of `IOU_THRESHOLDS`.
        truth_shares: Share of the image that each true box covers, by class; empty where nobody asked.
        hit_shares: (n_detections,), the share of the true box that each detection found at IoU 0.5, NaN where it found
            none; None where nobody asked.
    """

    image: str
    group: str
    truth_counts: Mapping[str, int]
    classes: tuple[str, ...]
    confidences: FloatArray
    hits: BoolArray
    truth_shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    hit_shares: FloatArray | None = None

    @property
    def is_clean(self) -> bool:
        """Tell whether humans found no damage at all."""
        return not any(self.truth_counts.values())


def evaluate_image(
    image: str,
    group: str,
    truths: Sequence[LabeledBox],
    detections: Sequence[Detection],
    size_wh: tuple[int, int] | None = None,
) -> ImageEvaluation:
    """Return the record of one image.

    As in COCO: by falling confidence, each detection takes the free true box of its class that it overlaps most, if
    the overlap reaches the threshold. A second detection of the same box is therefore a false positive.

    Args:
        size_wh: Of the image; with it the record tells small boxes from large ones.
    """
    ordered = sorted(detections, key=lambda d: (-d.confidence, d.damage_class, d.box.as_tuple()))
    classes = tuple(d.damage_class for d in ordered)
    hits = np.zeros((len(ordered), len(IOU_THRESHOLDS)), dtype=bool)
    hit_shares = np.full(len(ordered), np.nan)
    shares: dict[str, tuple[float, ...]] = {}
    for name in sorted({*classes, *(t.damage_class for t in truths)}):
        drawn = [t.box for t in truths if t.damage_class == name]
        shares[name] = tuple(area_share(box, size_wh) for box in drawn) if size_wh else ()
        rows = [i for i, found in enumerate(classes) if found == name]
        taken = match(iou_matrix(boxes_array([ordered[i].box for i in rows]), boxes_array(drawn)))
        hits[rows] = taken >= 0
        if size_wh and drawn:
            hit_shares[rows] = np.where(taken[:, 0] >= 0, np.array(shares[name])[taken[:, 0]], np.nan)
    counts = Counter(t.damage_class for t in truths)
    confidences = np.array([d.confidence for d in ordered], dtype=np.float64)
    if size_wh is None:
        return ImageEvaluation(image, group, dict(counts), classes, confidences, hits)
    return ImageEvaluation(image, group, dict(counts), classes, confidences, hits, shares, hit_shares)


def match(iou: FloatArray) -> IntArray:
    """Return which true box each detection takes at each of `IOU_THRESHOLDS`, shape (n_detections, 10); -1: none.

    Args:
        iou: Overlaps of one class in one image, (n_detections, n_truths), detections by falling confidence.
    """
    taken = np.full((len(iou), len(IOU_THRESHOLDS)), -1, dtype=np.int64)
    if iou.shape[1] == 0:
        return taken
    for column, threshold in enumerate(IOU_THRESHOLDS):
        free = iou.copy()
        for row in range(len(free)):
            best = int(free[row].argmax())
            if free[row, best] >= threshold:
                taken[row, column] = best
                free[:, best] = -1.0
    return taken


@dataclass(frozen=True, slots=True, eq=False)
class ClassTable:
    """All detections of one class over many images, sorted once.

    Attributes:
        confidences: (n_detections,), falling.
        hits: (n_detections, 10).
        image_of: (n_detections,), index into the records.
        truths: (n_images,), true boxes of the class in each image.
    """

    confidences: FloatArray
    hits: BoolArray
    image_of: IntArray
    truths: FloatArray

    def average_precision(self, iou_column: int = 0, weights: FloatArray | None = None) -> float:
        """Return AP at `IOU_THRESHOLDS[iou_column]` with each image counted `weights` times; NaN without truths.

        The mean over 101 recall levels of the best precision at that recall or above, as COCO and ultralytics
        have it. Detections of equal confidence count as one step, so the order of images changes nothing. One box
        found of two, and nothing else: 51 of 101 levels have precision 1, so 0.50495.
        """
        weights = np.ones(len(self.truths)) if weights is None else weights
        n_truths = float(weights @ self.truths)
        if n_truths == 0.0:
            return float("nan")
        found, shown = self.cumulated(iou_column, weights)
        if not len(shown) or shown[-1] == 0.0:
            return 0.0
        recall = found / n_truths
        precision = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        # A recall of 0.7 computed as 7/10 must reach the level written 0.7000000000000001.
        position = np.searchsorted(recall, RECALL_GRID - 1e-9, side="left")
        return float(np.append(envelope, 0.0)[position].mean())

    def found_and_shown(self, threshold: float) -> tuple[FloatArray, FloatArray]:
        """Return per image, each (n_images,), the hits at IoU 0.5 and the detections from `threshold` on."""
        n_shown = int(np.searchsorted(-self.confidences, -threshold, side="right"))
        images, n_images = self.image_of[:n_shown], len(self.truths)
        found = np.bincount(images, weights=self.hits[:n_shown, 0].astype(np.float64), minlength=n_images)
        return found.astype(np.float64), np.bincount(images, minlength=n_images).astype(np.float64)

    def best_f1_threshold(self) -> float | None:
        """Return the confidence at which F1 at IoU 0.5 is highest, or None when no detection is right.

        Midway between the last detection to be shown and the next one, rather than on the former, so that the
        rounding of another runtime does not hide it. Of equal F1 the lower threshold is taken: it misses less.
        """
        ones = np.ones(len(self.truths))
        found, shown = self.cumulated()
        if not len(found) or found[-1] == 0.0:
            return None
        f1 = 2.0 * found / (shown + ones @ self.truths)
        last = len(f1) - 1 - int(f1[::-1].argmax())
        return self.between_steps(last)

    def between_steps(self, last: int) -> float:
        """Return a threshold that shows everything down to the distinct confidence number `last`, and no more."""
        steps = self.confidences[self.step_ends()]
        return float((steps[last] + steps[last + 1]) / 2.0 if last + 1 < len(steps) else steps[last])

    def step_ends(self) -> IntArray:
        """Return the last index of each run of equal confidence."""
        if not len(self.confidences):
            return np.zeros(0, dtype=np.int64)
        return np.append(np.flatnonzero(np.diff(self.confidences)), len(self.confidences) - 1)

    def step_of_detections(self) -> IntArray:
        """Return which of those runs each detection is in, (n_detections,)."""
        if not len(self.confidences):
            return np.zeros(0, dtype=np.int64)
        return np.cumsum(np.diff(self.confidences, prepend=self.confidences[0]) != 0).astype(np.int64)

    def cumulated(self, iou_column: int = 0, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return hits and detections down to each distinct confidence, both (n_steps,)."""
        weight = np.ones(len(self.image_of)) if weights is None else weights[self.image_of]
        ends = self.step_ends()
        return np.cumsum(weight * self.hits[:, iou_column])[ends], np.cumsum(weight)[ends]


def class_table(records: Sequence[ImageEvaluation], name: str) -> ClassTable:
    """Return the table of one class; image indices are positions in `records`."""
    masks = [np.array([found == name for found in r.classes], dtype=bool) for r in records]
    confidences = np.concatenate([np.zeros(0), *(r.confidences[m] for r, m in zip(records, masks, strict=True))])
    hits = np.concatenate(
        [np.zeros((0, len(IOU_THRESHOLDS)), dtype=bool)] + [r.hits[m] for r, m in zip(records, masks, strict=True)]
    )
    image_of = np.repeat(np.arange(len(records)), [int(m.sum()) for m in masks])
    order = np.argsort(-confidences, kind="stable")
    truths = np.array([r.truth_counts.get(name, 0) for r in records], dtype=np.float64)
    return ClassTable(confidences[order], hits[order], image_of[order], truths)


def mean_ap(records: Sequence[ImageEvaluation], classes: Sequence[str], iou: float | None = 0.5) -> float | None:
    """Return the mean over `classes` of AP at one of `IOU_THRESHOLDS`, or over all ten when `iou` is None.

    Classes without a true box are left out; None when that leaves none.
    """
    tables = [class_table(records, name) for name in classes]
    return _rounded_mean([_average_precision(table, iou) for table in tables])


def figures(
    records: Sequence[ImageEvaluation], classes: Sequence[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Return mAP50, mAP50-95, counts and per-class figures as JSON values; None where a figure has no meaning."""
    return {
        "map50": mean_ap(records, classes, 0.5),
        "map50_95": mean_ap(records, classes, None),
        "images": len(records),
        "groups": len({record.group for record in records}),
        "boxes": sum(sum(record.truth_counts.values()) for record in records),
        "per_class": {name: _class_figures(class_table(records, name), thresholds[name]) for name in classes},
    }


def _class_figures(table: ClassTable, threshold: float) -> dict[str, Any]:
    found, shown, truths = (*(part.sum() for part in table.found_and_shown(threshold)), table.truths.sum())
    return {
        "ap50": _rounded_mean([_average_precision(table, 0.5)]),
        "ap50_95": _rounded_mean([_average_precision(table, None)]),
        "threshold": round(threshold, 4),
        "precision": round(float(found / shown), 4) if shown else None,
        "recall": round(float(found / truths), 4) if truths else None,
        "boxes": int(truths),
        "images": int((table.truths > 0).sum()),
        "detections": int(shown),
    }


def _average_precision(table: ClassTable, iou: float | None) -> float:
    if iou is not None:
        return table.average_precision(int(np.abs(IOU_THRESHOLDS - iou).argmin()))
    return float(np.mean([table.average_precision(column) for column in range(len(IOU_THRESHOLDS))]))


def _rounded_mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return round(float(np.mean(known)), 6) if known else None
