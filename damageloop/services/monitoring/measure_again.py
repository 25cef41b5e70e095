"""After a promotion: the same affected photos by the model of before and by the new one, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.annotation import Annotation
from damageloop.domain.drift.event import DriftEvent
from damageloop.domain.image import Image, Origin
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.monitoring.affected_images import is_affected
from damageloop.services.monitoring.version_answers import answers_of
from damageloop.services.reviews.resolve_annotations import resolve_annotations


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
        affected = [image for image in work.images.active() if is_affected(event, image)]
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

    def _side(
        self,
        work: UnitOfWork,
        version: int,
        labeled: Sequence[Image],
        truths: dict[int, Annotation],
        kept: Sequence[Image],
    ) -> dict[str, Any]:
        answers = answers_of(self.releases, self.params, version)
        predictions = work.predictions.of_version(version, sorted({image.id for image in (*labeled, *kept)}))
        judged = answers.judged(labeled, truths, predictions)
        outcomes = Counter(answers.outcome(predictions[i.id]).value for i in kept if i.id in predictions)
        return {
            "model_version": str(version),
            "recall": judged.recall,
            "precision": judged.precision,
            "photos": judged.n_images,
            "outcomes": dict(sorted(outcomes.items())),
        }


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
