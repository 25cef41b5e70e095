"""What humans have said so far, as strategies read it: embeddings, boxes by class, and how often a score is right.

Strategies see train alone. The calibration is made on `val`, whose purpose that is, and on explored images that were
reviewed under the same model: it has not learned from them yet. Never on `test`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray
from active_learning.calibration import fit_histogram
from damageloop.domain.annotation import Annotation
from damageloop.domain.evaluation import evaluate_image
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.round import ItemState, RoundState, Share
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import FeatureStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.resolve_annotations import resolve_annotations


@dataclass(frozen=True, slots=True)
class LabeledPool:
    """Labeled images with the annotation that counts for each, and what waits for review in open rounds."""

    images: tuple[Image, ...]
    annotations: Mapping[int, Annotation]
    in_review: tuple[int, ...]

    @property
    def train(self) -> list[Image]:
        return [image for image in self.images if image.split is Split.TRAIN]

    def class_counts(self, classes: Sequence[str]) -> FloatArray:
        """Return the labeled boxes of train by class, shape (n_classes,)."""
        counts = Counter(box.damage_class for image in self.train for box in self.annotations[image.id].boxes)
        return np.array([counts[name] for name in classes], dtype=np.float64)

    def embeddings(self, features: FeatureStore, source: str, known: set[int]) -> EmbeddingArray | None:
        """Return the embeddings of labeled train images, (n_labeled, n_features); None where none is known.

        What open rounds hold counts as labeled: soon it will be, and nobody needs a second photo like it.
        """
        wanted = sorted(({image.id for image in self.train} | set(self.in_review)) & known)
        return features.read(source, wanted) if wanted else None


def labeled_pool(work: UnitOfWork, params: Params) -> LabeledPool:
    """Return what is labeled now, of active images alone."""
    resolved = {i: a for i, a in resolve_annotations(work, params).items() if a.is_labeled}
    images = tuple(i for i in work.images.get_many(sorted(resolved)) if i.status is ImageStatus.ACTIVE)
    waiting = {ItemState.PENDING, ItemState.SENT}
    in_review = tuple(
        item.image_id
        for opened in work.rounds.unclosed()
        for item in work.rounds.items(opened.id)
        if item.state in waiting and item.share is not Share.AUDITED
    )
    return LabeledPool(images, resolved, in_review)


def calibration_of(work: UnitOfWork, labeled: LabeledPool, version: int) -> FloatArray:
    """Return how often the version's boxes are right by score bin, shape (15,); see `fit_histogram`."""
    explored = {
        item.image_id
        for r in work.rounds.all()
        if r.model_version == version and r.state is not RoundState.OPENING
        for item in work.rounds.items(r.id)
        if item.share is Share.EXPLORED and item.state is ItemState.REVIEWED
    }
    images = [i for i in labeled.images if i.split is Split.VAL or (i.split is Split.TRAIN and i.id in explored)]
    predictions = work.predictions.of_version(version, [image.id for image in images])
    records = [
        evaluate_image(i.sha256, i.group, labeled.annotations[i.id].boxes, predictions[i.id].detections)
        for i in images
        if i.id in predictions
    ]
    nothing = np.zeros(0)
    return fit_histogram(
        np.concatenate([nothing, *(record.confidences for record in records)]),
        # The first column: the box overlaps a true one of its class by half.
        np.concatenate([nothing.astype(bool), *(record.hits[:, 0] for record in records)]),
    )


def class_names(predictions: Sequence[Prediction], classes: Sequence[str], n_classes: int) -> tuple[str, ...] | None:
    """Return the name of each column of class scores, or None where the boxes contradict `classes`.

    A model from before a class was added has fewer columns; they are the first classes.
    """
    boxes: list[Detection] = [box for prediction in predictions for box in prediction.detections]
    names = tuple(classes[:n_classes])
    if len(names) != n_classes:
        return None
    fits = all(names[int(np.argmax(box.class_scores))] == box.damage_class for box in boxes)
    return names if fits else None
