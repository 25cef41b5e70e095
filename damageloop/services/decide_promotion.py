"""Put champion and challenger before the gate, on the same test images, and remember what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate import GateDecision, GateRules, decide
from damageloop.domain.image import Image
from damageloop.domain.prediction import Prediction
from damageloop.domain.promotion import ModelVersion
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import Clock, JobContext, ReleaseStore, SnapshotStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.score_pool import ScorePool

Records = Sequence[ImageEvaluation]


@dataclass(frozen=True, slots=True)
class DecidePromotion:
    """Decides once about each challenger; asked again it returns the recorded decision."""

    units: UnitOfWorkFactory
    snapshots: SnapshotStore
    releases: ReleaseStore
    score_pool: ScorePool
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Judge `model_version` on the test split of its snapshot."""
        version = int(inputs["model_version"])
        with self.units(read_only=True) as work:
            known = work.models.decision_about(version)
            promotion = work.models.champion()
            model = work.models.get(version)
            tag = work.snapshots.get(self._snapshot_of(model)).git_tag
        if known:
            return {"decision_id": known.id, "decision": known.decision.value}
        champion = promotion.model_version if promotion else None
        entries = [e for e in self.snapshots.read(tag) if e.split is Split.TEST]
        found = self._judge(entries, champion, version, context.progress)
        with self.units() as work:
            decision = work.models.add_decision(
                champion, version, found.decision, found.reasons, found.evidence, self.clock.now()
            )
            work.commit()
        return {"decision_id": decision.id, "decision": decision.decision.value, "reasons": list(found.reasons)}

    @staticmethod
    def _snapshot_of(model: ModelVersion) -> int:
        if model.snapshot_id is None:
            raise ConflictError(f"Version {model.version} was not trained on a snapshot, so there is no test split.")
        return model.snapshot_id

    def _judge(
        self,
        entries: Sequence[SnapshotEntry],
        champion: int | None,
        challenger: int,
        progress: Callable[[float, str], None],
    ) -> GateDecision:
        new = self._records(challenger, entries, progress)
        old = self._records(champion, entries, progress) if champion else None
        return decide(
            GateRules(**self.params.gate.model_dump()),
            self.params.labels.classes,
            new,
            self.releases.manifest(challenger).thresholds,
            old,
            self.releases.manifest(champion).thresholds if champion else None,
        )

    def _records(
        self, version: int, entries: Sequence[SnapshotEntry], progress: Callable[[float, str], None]
    ) -> Records:
        """Return one record for each test image; a model that can't answer for one must not be compared."""
        images = self._images(entries)
        with self.units(read_only=True) as work:
            scored = work.predictions.of_version(version, [i.id for i in images.values()])
        self.score_pool.score(version, [i for i in images.values() if i.id not in scored], progress)
        with self.units(read_only=True) as work:
            predictions = work.predictions.of_version(version, [i.id for i in images.values()])
        return [
            evaluate_image(e.sha256, e.group, e.boxes, _prediction(predictions, images, e, version).detections)
            for e in entries
        ]

    def _images(self, entries: Sequence[SnapshotEntry]) -> dict[str, Image]:
        with self.units(read_only=True) as work:
            by_hash = {image.sha256: image for image in work.images.active()}
        return {entry.sha256: by_hash[entry.sha256] for entry in entries if entry.sha256 in by_hash}


def _prediction(
    predictions: Mapping[int, Prediction], images: Mapping[str, Image], entry: SnapshotEntry, version: int
) -> Prediction:
    image = images.get(entry.sha256)
    prediction = predictions.get(image.id) if image else None
    if prediction is None:
        raise ConflictError(
            f"Version {version} has no prediction for test image {entry.sha256[:12]}; `damageloop verify` says "
            "whether its bytes are still there."
        )
    return prediction
