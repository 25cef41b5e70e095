"""Expected figures of the served photos without labels, beside real ones of those that people labeled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_learning.calibration import calibrated
from damageloop.domain.annotation import Verdict
from damageloop.domain.drift.expected import expected_figures
from damageloop.domain.image import ImageStatus, Origin
from damageloop.domain.outcome import Outcome
from damageloop.domain.served_image import ServedImage
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.monitoring.version_answers import answers_of
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from damageloop.services.rounds.labeled_pool import calibration_of, labeled_pool


@dataclass(frozen=True, slots=True)
class ExpectedPerformance:
    """Changes nothing."""

    releases: ReleaseStore
    params: Params

    def __call__(self, work: UnitOfWork, version: int, window: Sequence[ServedImage]) -> dict[str, Any]:
        """Return `expected` and `real` figures and the remarks about the version, as JSON values.

        The probability of a box is calibrated by what people said of val and explored photos, that of no damage by val.

        Raises:
            NotFoundError: If the release of the version is missing.
        """
        histogram = calibration_of(work, labeled_pool(work, self.params), version)
        confidences = np.array([c for served in window for _, c in served.confidences], dtype=np.float64)
        known = [(served.outcome, served.none_probability) for served in window]
        return {
            "expected": expected_figures(
                calibrated(np.clip(confidences, 0.0, 1.0), histogram),
                [p for outcome, p in known if p is not None and outcome is Outcome.NONE],
                [p for _, p in known if p is not None],
            ),
            "real": self._real(work, version),
            "feedback": dict(work.feedback.counts_by_version().get(version, {})),
        }

    def _real(self, work: UnitOfWork, version: int) -> dict[str, Any]:
        """Return figures on labeled production photos of val and test, which no model learns from."""
        held_out = [
            image
            for image in work.images.of_origin(Origin.PRODUCTION)
            if image.status is ImageStatus.ACTIVE and image.split is not Split.TRAIN
        ]
        truths = resolve_annotations(work, self.params, [image.id for image in held_out])
        predictions = work.predictions.of_version(version, sorted(truths))
        answers = answers_of(self.releases, self.params, version)
        judged = answers.judged(held_out, truths, predictions)
        nones = [i for i, seen in predictions.items() if answers.outcome(seen) is Outcome.NONE]
        wrong = sum(truths[image_id].verdict is Verdict.DAMAGED for image_id in nones)
        return {
            "photos": judged.n_images,
            "precision": judged.precision,
            "shown_boxes": judged.shown,
            "recall": judged.recall,
            "true_boxes": judged.true,
            "wrong_none_share": round(wrong / len(nones), 4) if nones else None,
            "none_answers": len(nones),
        }
