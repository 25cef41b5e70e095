"""Find annotations that are contradicted by models which never saw them. Runs when a person asks, never by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.annotation import Annotation
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.job import JobKind, JobRequest
from damageloop.domain.label_error import JudgedImage, doubt_of, recall_by_class
from damageloop.domain.prediction import Detection
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import CheckLabels, Clock, FoldPredictor, FoldRequest, JobContext
from damageloop.ports.persistence import FoundLabelError, UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.resolve_annotations import resolve_annotations

# By image hash.
Detections = Mapping[str, tuple[Detection, ...]]


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """An image with the annotation that counts for it now."""

    image: Image
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class FindLabelErrors:
    """Predicts out of fold, has the annotations judged, and keeps those that are doubtful."""

    units: UnitOfWorkFactory
    predictor: FoldPredictor
    check: CheckLabels
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Search the annotations of `snapshot_id`; a killed search goes on where it was.

        Train images are predicted by the fold that left their group out. No training sees val and test: they are
        judged by what the snapshot's own model said of them, or where it has not by one of the folds. What counts is
        the annotation of today: it has been corrected since the snapshot, perhaps.
        """
        with self.units(read_only=True) as work:
            snapshot = work.snapshots.get(int(inputs["snapshot_id"]))
            reviewed = self._reviewed(work)
            stored = _stored_predictions(work, snapshot, reviewed)
        detections = {**self._out_of_fold(snapshot, reviewed, stored, context), **stored}
        context.progress(0.99, "comparing annotations with predictions")
        judged = [item for item in reviewed if item.image.sha256 in detections]
        found = self._doubtful(judged, detections)
        n_new = self._keep(snapshot, judged, found)
        return {"snapshot_id": snapshot.id, "judged": len(judged), "found": len(found), "new": n_new}

    def _reviewed(self, work: UnitOfWork) -> list[_Reviewed]:
        """Return the images to judge: active, labeled, of the wanted splits, with boxes of today's classes only."""
        wanted, classes = set(self.params.label_errors.splits), set(self.params.labels.classes)
        labeled = {
            image_id: annotation
            for image_id, annotation in resolve_annotations(work, self.params).items()
            if annotation.is_labeled and {box.damage_class for box in annotation.boxes} <= classes
        }
        images = work.images.get_many(sorted(labeled))
        return [
            _Reviewed(image, labeled[image.id])
            for image in images
            if image.status is ImageStatus.ACTIVE and image.split in wanted
        ]

    def _out_of_fold(
        self, snapshot: Snapshot, reviewed: Sequence[_Reviewed], stored: Detections, context: JobContext
    ) -> Detections:
        if Split.TRAIN not in self.params.label_errors.splits:
            return {}
        held_out = [i.image.sha256 for i in reviewed if i.image.split is not Split.TRAIN]
        settings = self.params.label_errors
        request = FoldRequest(
            snapshot.git_tag, settings.folds, settings.seed, tuple(sorted(set(held_out) - set(stored)))
        )
        return self.predictor.predict(request, context.progress, context.is_cancelled)

    def _doubtful(self, judged: Sequence[_Reviewed], detections: Detections) -> list[FoundLabelError]:
        images = [JudgedImage(i.annotation.boxes, detections[i.image.sha256]) for i in judged]
        recall = recall_by_class(images)
        found = []
        for item, image, check in zip(judged, images, self.check(images), strict=True):
            doubt = doubt_of(image, check, recall)
            if doubt.quality <= self.params.label_errors.max_quality:
                hash_ = item.annotation.content_hash
                found.append(FoundLabelError(item.image.id, hash_, doubt, image.detections))
        return found

    def _keep(self, snapshot: Snapshot, judged: Sequence[_Reviewed], found: Sequence[FoundLabelError]) -> int:
        doubtful = {(item.image_id, item.annotation_hash) for item in found}
        cleared = [i.image.id for i in judged if (i.image.id, i.annotation.content_hash) not in doubtful]
        with self.units() as work:
            work.label_errors.drop_open(cleared)
            n_new = work.label_errors.keep(snapshot.id, found, self.clock.now())
            work.commit()
        return n_new


def search_request(work: UnitOfWork) -> JobRequest:
    """Return the job that searches the newest snapshot. Raises ConflictError before the first one."""
    snapshot = work.snapshots.latest()
    if snapshot is None:
        raise ConflictError("There is no snapshot yet; label errors are searched in one.")
    key = f"{JobKind.FIND_LABEL_ERRORS.value}:{snapshot.id}"
    return JobRequest(JobKind.FIND_LABEL_ERRORS, key, {"snapshot_id": snapshot.id})


def _stored_predictions(
    work: UnitOfWork, snapshot: Snapshot, reviewed: Sequence[_Reviewed]
) -> dict[str, tuple[Detection, ...]]:
    """Return what the model of this snapshot said of images of val and test, which it was not trained on."""
    versions = [model.version for model in work.models.all() if model.snapshot_id == snapshot.id]
    if not versions:
        return {}
    hashes = {i.image.id: i.image.sha256 for i in reviewed if i.image.split is not Split.TRAIN}
    predictions = work.predictions.of_version(versions[-1], list(hashes))
    return {hashes[image_id]: prediction.detections for image_id, prediction in predictions.items()}
