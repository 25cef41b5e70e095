"""What a version says of images that it has looked at, as serving would have said it, and how right that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from damageloop.domain.annotation import Annotation
from damageloop.domain.evaluation import class_table, evaluate_image
from damageloop.domain.image import Image
from damageloop.domain.outcome import Outcome, above_threshold, image_outcome
from damageloop.domain.prediction import Detection, Prediction, current_detections
from damageloop.domain.release import ReleaseManifest, with_current_names
from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.services.serving.answer_damage import outcome_rules


@dataclass(frozen=True, slots=True)
class Found:
    """Counts of boxes at the working thresholds and IoU 0.5, on `n_images`."""

    n_images: int
    found: int
    shown: int
    true: int

    @property
    def recall(self) -> float | None:
        return round(self.found / self.true, 4) if self.true else None

    @property
    def precision(self) -> float | None:
        return round(self.found / self.shown, 4) if self.shown else None


@dataclass(frozen=True, slots=True)
class VersionAnswers:
    """Answers of one version, from its stored predictions."""

    manifest: ReleaseManifest
    params: Params

    def shown(self, prediction: Prediction) -> tuple[Detection, ...]:
        """Return the detections that reach their thresholds, under the names of now."""
        shown = above_threshold(prediction.detections, self.manifest.thresholds, self._default)
        return current_detections(shown, self.params.labels.former)

    def outcome(self, prediction: Prediction) -> Outcome:
        """Return the outcome of an image that can be judged at all."""
        rules, fit = outcome_rules(self.params.serving), self.manifest.none_calibration
        return image_outcome(len(self.shown(prediction)), prediction.top_score, fit, rules)[0]

    def judged(
        self, images: Sequence[Image], truths: Mapping[int, Annotation], predictions: Mapping[int, Prediction]
    ) -> Found:
        """Return what the version found of the true boxes, on images that have both a truth and a prediction."""
        seen = [image for image in images if image.id in truths and image.id in predictions]
        records = [evaluate_image(i.sha256, i.group, truths[i.id].boxes, predictions[i.id].detections) for i in seen]
        found = shown = true = 0.0
        for name in self.params.labels.classes:
            table = class_table(records, name)
            hits, visible = table.found_and_shown(self.manifest.thresholds.get(name, self._default))
            found, shown, true = found + hits.sum(), shown + visible.sum(), true + table.truths.sum()
        return Found(len(seen), int(found), int(shown), int(true))

    @property
    def _default(self) -> float:
        return self.params.serving.default_threshold


def answers_of(releases: ReleaseStore, params: Params, version: int) -> VersionAnswers:
    """Return the answers of a version under the present names. Raises NotFoundError when its release is missing."""
    return VersionAnswers(with_current_names(releases.manifest(version), params.labels.former), params)
