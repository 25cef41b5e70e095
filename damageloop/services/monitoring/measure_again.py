"""After a promotion: the same affected photos by the model of before and by the new one, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.annotation import Annotation
from damageloop.domain.drift.bounds import DriftBounds
from damageloop.domain.drift.event import DriftEvent
from damageloop.domain.evaluation import class_table, evaluate_image
from damageloop.domain.image import Image, ImageStatus, Origin
from damageloop.domain.outcome import above_threshold, image_outcome
from damageloop.domain.prediction import Prediction
from damageloop.domain.release import ReleaseManifest, with_current_names
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from damageloop.services.serving.answer_damage import outcome_rules


@dataclass(frozen=True, slots=True)
class MeasureAgain:
    """Changes nothing."""

    releases: ReleaseStore
    params: Params

    def __call__(self, work: UnitOfWork, event: DriftEvent, new_version: int) -> dict[str, Any]:
        """Return figures of both versions as JSON values: `before` and `after`, and on how many photos.

        `recall` is of true boxes on affected photos of val and test, which no model learned from, at each model's own
        thresholds; None without a true box. `outcomes` are those of all affected photos of the window that were kept.

        Raises:
            NotFoundError: If the release of a version is missing.
        """
        affected = self._affected(work, event)
        truths = resolve_annotations(work, self.params, [image.id for image in affected if image.split != Split.TRAIN])
        labeled = [image for image in affected if image.id in truths]
        kept = [image for image in affected if image.origin is Origin.PRODUCTION]
        sides = {"before": event.model_version, "after": new_version}
        return {
            "labeled_photos": len(labeled),
            "true_boxes": sum(len(truths[image.id].boxes) for image in labeled),
            "kept_photos": len(kept),
            **{name: self._side(work, version, labeled, truths, kept) for name, version in sides.items()},
        }

    def _affected(self, work: UnitOfWork, event: DriftEvent) -> list[Image]:
        bounds = DriftBounds(event.bounds)
        active = [image for image in work.images.active() if image.status is ImageStatus.ACTIVE]
        if not event.bounds:
            return [image for image in active if image.origin is Origin.PRODUCTION]
        return [image for image in active if bounds.affects(image.size_wh, image.stored.quality)]

    def _side(
        self,
        work: UnitOfWork,
        version: int,
        labeled: Sequence[Image],
        truths: dict[int, Annotation],
        kept: Sequence[Image],
    ) -> dict[str, Any]:
        manifest = with_current_names(self.releases.manifest(version), self.params.labels.former)
        ids = sorted({image.id for image in (*labeled, *kept)})
        predictions = work.predictions.of_version(version, ids)
        records = [
            evaluate_image(image.sha256, image.group, truths[image.id].boxes, predictions[image.id].detections)
            for image in labeled
            if image.id in predictions
        ]
        found = shown = true = 0.0
        for name in self.params.labels.classes:
            table = class_table(records, name)
            threshold = manifest.thresholds.get(name, self.params.serving.default_threshold)
            hits, visible = table.found_and_shown(threshold)
            found, shown, true = found + hits.sum(), shown + visible.sum(), true + table.truths.sum()
        return {
            "model_version": str(version),
            "recall": round(float(found / true), 4) if true else None,
            "precision": round(float(found / shown), 4) if shown else None,
            "photos": len(records),
            "outcomes": self._outcomes(manifest, [predictions[i.id] for i in kept if i.id in predictions]),
        }

    def _outcomes(self, manifest: ReleaseManifest, predictions: Sequence[Prediction]) -> dict[str, int]:
        rules, default = outcome_rules(self.params.serving), self.params.serving.default_threshold
        counts: Counter[str] = Counter()
        for prediction in predictions:
            shown = above_threshold(prediction.detections, manifest.thresholds, default)
            outcome, _ = image_outcome(len(shown), prediction.top_score, manifest.none_calibration, rules)
            counts[outcome.value] += 1
        return dict(sorted(counts.items()))


def in_words(measured: dict[str, Any]) -> str:
    """Return what was measured as one sentence."""
    before, after = measured["before"], measured["after"]
    versions = f"version {before['model_version']} with version {after['model_version']}"
    if before["recall"] is None or after["recall"] is None:
        return f"No affected photo that no model learned from has a labeled damage, so {versions} can't be compared."
    return (
        f"On {measured['labeled_photos']} affected photos that no model learned from, with {measured['true_boxes']} "
        f"damages, recall went from {before['recall']:.2f} to {after['recall']:.2f} ({versions})."
    )
