"""From images, predictions and features to the arrays that strategies read, and to the strategy that can read them.

A strategy that lacks something never stops the loop: another one chooses, and the round says which and why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray
from active_learning.needs import Need
from active_learning.protocol import Candidates, Labeled, MirroredView
from active_learning.registry import DEFAULT, needs
from active_learning.review_time import ReviewCoefficients, ReviewRates, expected_seconds
from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, Prediction
from damageloop.errors import InvalidInputError
from damageloop.params import Params
from damageloop.ports import FeatureStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.images.feature_source import feature_source
from damageloop.services.reviews.review_times import learned_review_times
from damageloop.services.rounds.choose_images import Choice
from damageloop.services.rounds.detection_arrays import detection_arrays, offsets_of
from damageloop.services.rounds.labeled_pool import LabeledPool, calibration_of, class_names, labeled_pool

logger = logging.getLogger(__name__)

# What chooses, in this order, where the strategy that was asked for lacks something; the last needs nothing.
FALLBACKS = (DEFAULT, "random")
# The default makes do with what there is: best with embeddings, else by scores alone; with neither it would be random.
WAYS = {"uncertainty_herding": (frozenset({Need.EMBEDDINGS}), frozenset({Need.SCORES}))}
# A strategy that sees less of the pool than this would choose from what happens to be ready.
MIN_SEEN_SHARE = 0.5
_LACKING = {
    Need.SCORES: "no model has scored the pool yet",
    Need.EMBEDDINGS: "too few images have embeddings yet",
    Need.LOCALIZATION: "the model has no measure of how sure a box's sides are",
    Need.MIRRORED: "the pool was not scored mirrored",
    Need.BOX_FEATURES: "too few images have features of their boxes yet",
}
# No score reaches it: what annotators are shown of an audited image.
HIDDEN = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedSeconds:
    """Predicts seconds of review from what people did so far; `calibration` is None without a model."""

    calibration: FloatArray | None
    coefficients: ReviewCoefficients
    rates: ReviewRates

    def __call__(
        self, images: Sequence[Image], predictions: Mapping[int, Prediction], display_threshold: float
    ) -> dict[int, float]:
        """Return the seconds by image id, of images that a model has scored."""
        scored = [image.id for image in images if image.id in predictions]
        detections = [predictions[image_id].detections for image_id in scored]
        found = expected_seconds(
            np.array([box.confidence for part in detections for box in part], dtype=np.float64),
            offsets_of(detections),
            self.coefficients,
            calibration=self.calibration,
            display_threshold=display_threshold,
            rates=self.rates,
        )
        return dict(zip(scored, found.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the pool, before a strategy is settled on.

    Attributes:
        source: The table of the feature store; None before any can be made.
        by_need: Ids of the images for which each need is met; what is not named here is met for none.
        seconds: Predicts how long people will work on an image.
    """

    images: Sequence[Image]
    predictions: Mapping[int, Prediction]
    source: str | None
    embedded: set[int]
    by_need: Mapping[Need, set[int]]
    labeled: LabeledPool
    seconds: ExpectedSeconds


@dataclass(frozen=True, slots=True)
class MakeCandidates:
    """Builds what a strategy chooses from."""

    features: FeatureStore
    params: Params

    def __call__(self, work: UnitOfWork, train: Sequence[Image], version: int | None, wanted: str) -> Choice:
        """Return the choice of the strategy `wanted`, or of the first other one that can see enough of the pool.

        Args:
            work: An open transaction.
            train: Unlabeled images of train, and nothing else: strategies see no other split.
            version: The model version that scored the pool; None before the first champion.
            wanted: A name of the registry.

        Raises:
            InvalidInputError: If there is no such strategy.
        """
        known = self._known(work, train, version)
        name, way, lacking = _usable(wanted, known)
        seen = [image for image in train if all(image.id in known.by_need[need] for need in way)]
        return Choice(
            strategy=name,
            note=_note(wanted, name, lacking, len(train) - len(seen)),
            images=seen,
            candidates=self._candidates(seen, known, way),
            seconds=known.seconds(train, known.predictions, self.params.annotation.display_threshold),
            seconds_by_hand=lambda images: known.seconds(images, _predictions(work, version, images), HIDDEN),
        )

    def _known(self, work: UnitOfWork, train: Sequence[Image], version: int | None) -> _Known:
        predictions = _predictions(work, version, train)
        source = str(version) if version else feature_source(work, self.params)
        embedded = set(self.features.known_ids(source).tolist()) if source else set()
        labeled = labeled_pool(work, self.params)
        return _Known(
            images=train,
            predictions=predictions,
            source=source,
            embedded=embedded,
            by_need=self._by_need(train, predictions, source, embedded),
            labeled=labeled,
            seconds=ExpectedSeconds(
                calibration_of(work, labeled, version) if version else None, *learned_review_times(work, self.params)
            ),
        )

    def _by_need(
        self,
        images: Sequence[Image],
        predictions: Mapping[int, Prediction],
        source: str | None,
        embedded: set[int],
    ) -> dict[Need, set[int]]:
        ids = {image.id for image in images}
        found = {Need.EMBEDDINGS: ids & embedded}
        if predictions:
            # An image that could not be scored counts as one without boxes.
            found[Need.SCORES] = ids
            # Features are written first: after a crash in between there are some without their boxes.
            boxed = set(self.features.known_box_ids(source or "").tolist())
            found[Need.BOX_FEATURES] = ids & boxed & predictions.keys()
            found[Need.MIRRORED] = {i for i, p in predictions.items() if p.mirrored is not None}
        boxes = [box for prediction in predictions.values() for box in prediction.detections]
        # Without any box nothing contradicts that the model has the measure.
        if predictions and (not boxes or any(box.localization_entropy is not None for box in boxes)):
            found[Need.LOCALIZATION] = ids
        return found

    def _candidates(self, images: Sequence[Image], known: _Known, wanted: frozenset[Need]) -> Candidates:
        ids = [image.id for image in images]
        groups = _group_codes(images)
        embeddings = None
        if Need.EMBEDDINGS in wanted and known.source and ids:
            embeddings = self.features.read(known.source, ids)
        if not known.predictions:
            labeled = self._labeled(known, None, embeddings is not None)
            return Candidates.without_predictions(groups, embeddings, labeled)
        detections = [_detections(known.predictions, image_id) for image_id in ids]
        n_scores = (len(box.class_scores) for part in detections for box in part)
        n_classes = max(n_scores, default=len(self.params.labels.classes))
        arrays = detection_arrays(detections, [image.size_wh for image in images], n_classes)
        names = class_names([known.predictions[i] for i in ids if i in known.predictions], self._classes, n_classes)
        seconds = known.seconds(images, known.predictions, self.params.annotation.display_threshold)
        return Candidates(
            offsets=arrays.offsets,
            box_scores=arrays.box_scores,
            box_class_scores=arrays.box_class_scores,
            localization_entropy=arrays.localization_entropy,
            top_scores=np.array([_top_score(known.predictions, i) for i in ids], dtype=np.float64),
            groups=groups,
            embeddings=embeddings,
            box_features=self._box_features(known, ids) if Need.BOX_FEATURES in wanted else None,
            boxes_xyxyn=arrays.boxes_xyxyn,
            mirrored=_mirrored(images, known.predictions, n_classes) if Need.MIRRORED in wanted else None,
            review_seconds=_filled(seconds, ids),
            labeled=self._labeled(known, names, embeddings is not None),
        )

    @property
    def _classes(self) -> tuple[str, ...]:
        return self.params.labels.classes

    def _labeled(self, known: _Known, names: tuple[str, ...] | None, has_embeddings: bool) -> Labeled:
        embeddings = None
        if has_embeddings and known.source:
            embeddings = known.labeled.embeddings(self.features, known.source, known.embedded)
        counts = known.labeled.class_counts(names) if names else None
        return Labeled(embeddings, counts, known.seconds.calibration if known.predictions else None)

    def _box_features(self, known: _Known, ids: Sequence[int]) -> EmbeddingArray:
        return self.features.read_boxes(known.source or "", ids).features


def _predictions(work: UnitOfWork, version: int | None, images: Sequence[Image]) -> Mapping[int, Prediction]:
    return work.predictions.of_version(version, [image.id for image in images]) if version else {}


def _usable(wanted: str, known: _Known) -> tuple[str, frozenset[Need], list[Need]]:
    """Return the name of what can choose, what it reads, and what was lacking on the way to it."""
    lacking: list[Need] = []
    for name in (wanted, *FALLBACKS):
        for way in WAYS.get(name, (needs(name),)):
            missing = _lacking(way, known)
            if not missing:
                return name, way, lacking
            lacking += [need for need in missing if name == wanted and need not in lacking]
    raise InvalidInputError(f"Neither {wanted} nor what stands in for it can choose from this pool.")


def _lacking(way: frozenset[Need], known: _Known) -> list[Need]:
    """Return the needs that too little of the pool meets; an empty pool lacks nothing."""
    enough = MIN_SEEN_SHARE * len(known.images)
    return [need for need in Need if need in way and len(known.by_need.get(need, ())) < enough]


def _note(wanted: str, used: str, lacking: Sequence[Need], n_unseen: int) -> str | None:
    parts = []
    if lacking:
        subject = f"{used} in place of {wanted}" if used != wanted else f"{used} by scores alone"
        parts.append(f"{subject}: {' and '.join(_LACKING[need] for need in lacking)}")
    if n_unseen:
        parts.append(f"{n_unseen} images could not be chosen, only drawn: {used} lacks their features")
    note = "; ".join(parts) or None
    if note:
        logger.info(note)
    return note


def _group_codes(images: Sequence[Image]) -> IntArray:
    codes = {group: code for code, group in enumerate(sorted({image.group for image in images}))}
    return np.array([codes[image.group] for image in images], dtype=np.int64)


def _detections(predictions: Mapping[int, Prediction], image_id: int) -> tuple[Detection, ...]:
    return predictions[image_id].detections if image_id in predictions else ()


def _top_score(predictions: Mapping[int, Prediction], image_id: int) -> float:
    return predictions[image_id].top_score if image_id in predictions else 0.0


def _mirrored(images: Sequence[Image], predictions: Mapping[int, Prediction], n_classes: int) -> MirroredView:
    detections = [predictions[image.id].mirrored or () for image in images]
    arrays = detection_arrays(detections, [image.size_wh for image in images], n_classes)
    return MirroredView(arrays.offsets, arrays.boxes_xyxyn, arrays.box_class_scores)


def _filled(seconds: Mapping[int, float], ids: Sequence[int]) -> FloatArray | None:
    """Return the seconds of each image; one that no model could score is taken for an average one."""
    if not seconds:
        return None
    mean = float(np.mean(list(seconds.values())))
    return np.array([seconds.get(image_id, mean) for image_id in ids], dtype=np.float64)
