"""One model's figures on the test images and on each resample of their groups, whole and by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.evaluation import ClassTable, FloatArray, ImageEvaluation, class_table
from damageloop.domain.gate_rules import Figure, Slice
from damageloop.domain.judged_rule import rounded
from damageloop.domain.resampling import interval, resampled_average_precision, resampled_ratio

# Resamples of fewer vehicles are mostly the same ones again: their limits would promise what nobody knows.
MIN_GROUPS_OF_INTERVAL = 5
_COLUMNS = {Figure.MAP50: (0,), Figure.MAP50_95: tuple(range(10))}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A figure.

    Attributes:
        value: On the images as they are; NaN where it has no meaning.
        resampled: On each resample, (n_samples,).
        count: What it rests on: true boxes, shown boxes or clean photos.
        n_groups: Groups with any of those.
    """

    value: float
    resampled: FloatArray
    count: int
    n_groups: int


def limits(found: Measured, level: float) -> dict[str, Any]:
    """Return a figure with its limits: None where it has no meaning, and no limits from a handful of vehicles."""
    known = interval(found.resampled, level) if found.n_groups >= MIN_GROUPS_OF_INTERVAL else None
    low, high = known or (None, None)
    value = found.value if found.count else None
    figures = {"value": rounded(value), "low": rounded(low), "high": rounded(high)}
    return {**figures, "count": found.count, "groups": found.n_groups}


class Measurements:
    """A model's records, in one order with those it is compared with.

    Args:
        records: Of the test images.
        thresholds: Working thresholds; a model that does not name a class does not know it and finds none of it.
        weights: See `resampling.group_weights`, (n_samples, n_images).
        slices: Names of the images of each slice; one that the gate does not know has a name of its own.
        small_share: A true box that covers less of its image is small.
    """

    def __init__(
        self,
        records: Sequence[ImageEvaluation],
        thresholds: Mapping[str, float],
        weights: FloatArray,
        slices: Mapping[Slice, Set[str]] | Mapping[str, Set[str]],
        small_share: float,
    ) -> None:
        self._records = records
        self._thresholds = thresholds
        # The first row is the images as they are.
        self._weights = np.vstack([np.ones((1, len(records))), weights])
        self._slices: dict[str, Set[str]] = {str(name): members for name, members in slices.items()}
        self._small_share = small_share
        self._tables: dict[str, ClassTable] = {}

    def measure(self, figure: Figure, part: str, classes: Sequence[str]) -> Measured:
        """Return a figure of these classes on a part of the images.

        Recall on all images is the mean of the classes' recalls. On a slice, where a class may have next to no box,
        boxes of all classes count alike. Precision always counts shown boxes alike, and mAP is the mean over classes
        with a true box. For specificity a box of any class that the model knows is a false alarm.
        """
        mask = self._mask(part)
        if figure is Figure.SPECIFICITY:
            return self._specificity(mask)
        if figure is Figure.PRECISION:
            return self._precision(mask, classes)
        if figure is Figure.RECALL:
            is_whole = part is Slice.ALL
            return self._mean_recall(classes) if is_whole else self._pooled_recall(part, mask, classes)
        return self._mean_average_precision(figure, mask, classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that the model knows."""
        return tuple(self._thresholds)

    def threshold(self, name: str) -> float | None:
        """Return the working threshold of a class; None when the model does not know it."""
        return self._thresholds.get(name)

    def _mean_recall(self, classes: Sequence[str]) -> Measured:
        if not classes:
            return self._nothing()
        ratios = [
            resampled_ratio(self._found_and_shown(name)[0], self._table(name).truths, self._weights) for name in classes
        ]
        # NaN where one class drew no box: a mean over the others would be another figure.
        truths = sum((self._table(name).truths for name in classes), np.zeros(len(self._records)))
        return self._measured(np.mean(ratios, axis=0), truths)

    def _pooled_recall(self, part: str, mask: FloatArray, classes: Sequence[str]) -> Measured:
        zeros = np.zeros(len(self._records))
        is_small = part is Slice.SMALL_BOXES
        found = [self._small_found(name) if is_small else self._found_and_shown(name)[0] for name in classes]
        truths = sum((self._truths_in(part, name) for name in classes), zeros) * mask
        return self._measured(resampled_ratio(sum(found, zeros) * mask, truths, self._weights), truths)

    def _precision(self, mask: FloatArray, classes: Sequence[str]) -> Measured:
        zeros = np.zeros(len(self._records))
        parts = [self._found_and_shown(name) for name in classes]
        found, shown = (sum((part[i] for part in parts), zeros) * mask for i in (0, 1))
        return self._measured(resampled_ratio(found, shown, self._weights), shown)

    def _specificity(self, mask: FloatArray) -> Measured:
        clean = np.array([record.is_clean for record in self._records], dtype=np.float64) * mask
        shown = sum((self._found_and_shown(name)[1] for name in self._thresholds), np.zeros(len(self._records)))
        return self._measured(resampled_ratio(clean * (shown == 0), clean, self._weights), clean)

    def _mean_average_precision(self, figure: Figure, mask: FloatArray, classes: Sequence[str]) -> Measured:
        weights = self._weights * mask
        seen = [name for name in classes if self._table(name).truths @ mask > 0]
        if not seen:
            return self._nothing()
        truths = sum((self._table(name).truths * mask for name in seen), np.zeros(len(self._records)))
        areas = [
            resampled_average_precision(self._table(name), weights, _COLUMNS[figure]).mean(axis=0)
            if name in self._thresholds
            else np.where(weights @ self._table(name).truths > 0, 0.0, np.nan)
            for name in seen
        ]
        return self._measured(np.mean(areas, axis=0), truths)

    def _measured(self, values: FloatArray, counted: FloatArray) -> Measured:
        groups = {record.group for record, count in zip(self._records, counted, strict=True) if count}
        return Measured(float(values[0]), values[1:], int(counted.sum()), len(groups))

    def _nothing(self) -> Measured:
        return self._measured(np.full(len(self._weights), np.nan), np.zeros(len(self._records)))

    def _mask(self, part: str) -> FloatArray:
        if part in (Slice.ALL, Slice.SMALL_BOXES):
            return np.ones(len(self._records))
        members = self._slices.get(part, frozenset())
        return np.array([record.image in members for record in self._records], dtype=np.float64)

    def _table(self, name: str) -> ClassTable:
        if name not in self._tables:
            self._tables[name] = class_table(self._records, name)
        return self._tables[name]

    def _found_and_shown(self, name: str) -> tuple[FloatArray, FloatArray]:
        return self._table(name).found_and_shown(self._thresholds.get(name, float("inf")))

    def _truths_in(self, part: str, name: str) -> FloatArray:
        if part is not Slice.SMALL_BOXES:
            return self._table(name).truths
        small = [sum(share < self._small_share for share in r.truth_shares.get(name, ())) for r in self._records]
        return np.array(small, dtype=np.float64)

    def _small_found(self, name: str) -> FloatArray:
        """Return how many small true boxes of the class are found on each image at its threshold."""
        threshold = self._thresholds.get(name, float("inf"))
        return np.array([_small_hits(r, name, threshold, self._small_share) for r in self._records], dtype=np.float64)


def _small_hits(record: ImageEvaluation, name: str, threshold: float, small_share: float) -> int:
    if record.hit_shares is None or not record.truth_shares.get(name):
        return 0
    is_of_class = np.array([found == name for found in record.classes], dtype=bool)
    # A comparison with NaN is False: what hit nothing is no small hit.
    is_small = (record.confidences >= threshold) & (record.hit_shares < small_share)
    return int((is_of_class & is_small).sum())
