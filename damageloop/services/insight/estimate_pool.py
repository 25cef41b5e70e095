"""What the pool is like and how good the champion is, from images drawn at random: explored and audited ones.

Chosen images say what the model is unsure of, not what the pool is like; they take no part in any figure here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.arrays import FloatArray, IntArray
from active_learning.estimation import Estimate, design_weights, ratio, share
from damageloop.domain.annotation import Verdict
from damageloop.domain.correction import Gesture
from damageloop.domain.evaluation import ImageEvaluation, class_table, evaluate_image
from damageloop.domain.image import ImageStatus
from damageloop.domain.round import RANDOM_SHARES, Share
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.reviewed_items import ReadReviews, ReviewedItem, counting_items, reviewed_items

# Of a model version; raises NotFoundError where its release is gone.
ReadThresholds = Callable[[int], Mapping[str, float]]
_NOTHING = Estimate(None, None, None, 0, 0)


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """How the champion does on audited images, whose pre-labels nobody saw, at its working thresholds (IoU 0.5).

    The thresholds were set on `val`, which a third of these images are from: precision and recall lean to the good
    side by what five thresholds can be tuned.

    Attributes:
        version: None while there is no champion.
        recall_by_class: Found boxes per true box, by class.
    """

    version: int | None
    recall: Estimate
    precision: Estimate
    recall_by_class: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class PreLabelEstimate:
    """What people did with pre-labels in explored images, an unbiased look at the pool.

    Attributes:
        accepted: Share of shown pre-labels that were left as they were; `edited` and `rejected` likewise.
        missed: Share of the damages that people had to draw.
        changed: Share of photos on which anything was edited, rejected or drawn.
    """

    accepted: Estimate
    edited: Estimate
    rejected: Estimate
    missed: Estimate
    changed: Estimate


@dataclass(frozen=True, slots=True)
class PoolEstimate:
    """Estimates with two-sided 90 % intervals; a value is None where nothing was drawn yet.

    Attributes:
        damaged: Share of photos with a damage.
        boxes_per_photo: By damage class.
        left_out: Reviewed images of the random shares whose probability is not known.
    """

    damaged: Estimate
    boxes_per_photo: dict[str, Estimate]
    champion: ModelEstimate
    pre_labels: PreLabelEstimate
    left_out: int


@dataclass(frozen=True, slots=True)
class EstimatePool:
    """Reads what was reviewed and estimates; changes nothing."""

    units: UnitOfWorkFactory
    thresholds: ReadThresholds
    params: Params
    read: ReadReviews = reviewed_items

    def __call__(self) -> PoolEstimate:
        """Return all estimates from the random shares.

        Raises:
            NotFoundError: If the champion's release is missing.
        """
        with self.units(read_only=True) as work:
            drawn = self._drawn(work)
            known = [i for i in drawn if i.item.probability is not None]
            sample = _Sample(known, work.images.counts_by_split())
            champion = self._champion(work, [i for i in known if i.item.share is Share.AUDITED])
        explored = [i for i in known if i.item.share is Share.EXPLORED]
        return PoolEstimate(
            damaged=sample.share_of(lambda i: i.annotation.verdict is Verdict.DAMAGED),
            boxes_per_photo={name: sample.boxes_per_photo(name) for name in self.params.labels.classes},
            champion=champion,
            pre_labels=_pre_labels(_Sample(explored, sample.n_by_split)),
            left_out=len(drawn) - len(known),
        )

    def recall(self) -> Estimate:
        """Return the champion's recall on audited images alone. Raises NotFoundError as the whole does."""
        with self.units(read_only=True) as work:
            audited = [i for i in self._drawn(work) if i.item.share is Share.AUDITED and i.item.probability is not None]
            return self._champion(work, audited).recall

    def _drawn(self, work: UnitOfWork) -> list[ReviewedItem]:
        """Return the work that counts on images of the random shares; what left its split is of no pool any more."""
        # All work on an image is of one share: which annotation counts is asked of the drawn ones alone.
        items = self.read(work, self.params)
        drawn = [i for i in items if i.item.share in RANDOM_SHARES and i.image.status is ImageStatus.ACTIVE]
        return counting_items(work, self.params, drawn)

    def _champion(self, work: UnitOfWork, audited: Sequence[ReviewedItem]) -> ModelEstimate:
        promotion, classes = work.models.champion(), self.params.labels.classes
        if promotion is None:
            return ModelEstimate(None, _NOTHING, _NOTHING, dict.fromkeys(classes, _NOTHING))
        version = promotion.model_version
        predictions = work.predictions.of_version(version, [i.image.id for i in audited])
        # An image that the champion has not scored yet tells nothing of it.
        scored = [i for i in audited if i.image.id in predictions]
        records = [
            evaluate_image(i.image.sha256, i.image.group, i.annotation.boxes, predictions[i.image.id].detections)
            for i in scored
        ]
        sample = _Sample(scored, work.images.counts_by_split())
        return _judged(sample, records, version, self.thresholds(version), classes)


class _Sample:
    """Reviewed images, each with the number of images for which it stands.

    Each split and share is a draw of its own: within it an image counts by 1 / p, and each counts by its split's
    size, however many rounds have drawn from it.
    """

    def __init__(self, items: Sequence[ReviewedItem], n_by_split: Mapping[str, int]) -> None:
        self.items = items
        self.n_by_split = n_by_split
        self.weights = self._weights()
        self.n_pool = sum(n_by_split.get(split, 0) for split in {item.image.split.value for item in items}) or None
        codes = np.unique(np.array([item.image.group for item in items], dtype=str), return_inverse=True)[1]
        self.groups: IntArray = codes.reshape(-1).astype(np.int64)

    def share_of(self, is_so: Callable[[ReviewedItem], bool]) -> Estimate:
        """Return the share of photos of which something holds."""
        return self.share([float(is_so(item)) for item in self.items], [1.0] * len(self.items))

    def boxes_per_photo(self, damage_class: str) -> Estimate:
        """Return the mean number of boxes of a class on a photo; its lower limit is never below 0."""
        counts = [float(sum(b.damage_class == damage_class for b in i.annotation.boxes)) for i in self.items]
        found = ratio(_array(counts), np.ones(len(counts)), self.weights, self.groups, self.n_pool)
        low = None if found.low is None else max(0.0, found.low)
        return Estimate(found.value, low, found.high, found.n, found.n_groups)

    def share(self, numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
        """Return the share of counted things; both are counts of each photo."""
        return share(_array(numerators), _array(denominators), self.weights, self.groups, self.n_pool)

    def _weights(self) -> FloatArray:
        weights = design_weights([item.item.probability for item in self.items])
        strata = [(item.item.share, item.image.split) for item in self.items]
        for stratum in set(strata):
            mask = np.array([found == stratum for found in strata])
            size = self.n_by_split.get(stratum[1].value, 0) or int(mask.sum())
            weights[mask] *= size / weights[mask].sum()
        return weights


def _judged(
    sample: _Sample,
    records: Sequence[ImageEvaluation],
    version: int,
    thresholds: Mapping[str, float],
    classes: Sequence[str],
) -> ModelEstimate:
    tables = {name: class_table(records, name) for name in classes}
    counted = {name: table.found_and_shown(thresholds.get(name, np.inf)) for name, table in tables.items()}
    n = len(records)
    found = sum((counted[name][0] for name in classes), np.zeros(n))
    shown = sum((counted[name][1] for name in classes), np.zeros(n))
    truths = sum((tables[name].truths for name in classes), np.zeros(n))
    return ModelEstimate(
        version,
        sample.share(found.tolist(), truths.tolist()),
        sample.share(found.tolist(), shown.tolist()),
        {name: sample.share(counted[name][0].tolist(), tables[name].truths.tolist()) for name in classes},
    )


def _pre_labels(sample: _Sample) -> PreLabelEstimate:
    done = [_by_gesture(item) for item in sample.items]
    shown = [float(len(item.shown)) for item in sample.items]
    boxes = [float(len(item.annotation.boxes)) for item in sample.items]

    def of(gesture: Gesture) -> list[float]:
        return [float(part[gesture]) for part in done]

    changed = [float(sum(part.values()) > part[Gesture.ACCEPTED]) for part in done]
    return PreLabelEstimate(
        accepted=sample.share(of(Gesture.ACCEPTED), shown),
        edited=sample.share(of(Gesture.EDITED), shown),
        rejected=sample.share(of(Gesture.REJECTED), shown),
        missed=sample.share(of(Gesture.DRAWN), boxes),
        changed=sample.share(changed, [1.0] * len(done)),
    )


def _by_gesture(item: ReviewedItem) -> Counter[Gesture]:
    counts: Counter[Gesture] = Counter()
    for (gesture, _), count in item.corrections.items():
        counts[gesture] += count
    return counts


def _array(values: Sequence[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)
