"""Put champion and challenger before the gate, on the same test images, and remember what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.drift.bounds import DriftBounds
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate import GateDecision, decide
from damageloop.domain.gate_rules import Slice
from damageloop.domain.holdout import slices_of, truth_hash
from damageloop.domain.image import Image
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Prediction, current_detections
from damageloop.domain.promotion import ModelVersion
from damageloop.domain.release import with_current_names
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import Clock, JobContext, ReleaseStore, SnapshotStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.score_pool import ScorePool

Records = Sequence[ImageEvaluation]


@dataclass(frozen=True, slots=True)
class _TestSet:
    """The test images of a snapshot that are still there.

    Attributes:
        truth_hash: Of all test images of the snapshot, so that forgetting one begins no new count.
        images: By hash.
        n_gone: Test images that were forgotten or excluded since.
    """

    truth_hash: str
    entries: tuple[SnapshotEntry, ...]
    images: Mapping[str, Image]
    n_gone: int


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
        """Judge `model_version` on the test split of its snapshot, without images that are gone since."""
        version = int(inputs["model_version"])
        with self.units(read_only=True) as work:
            known = work.models.decision_about(version)
            promotion = work.models.champion()
            model = work.models.get(version)
            tag = work.snapshots.get(self._snapshot_of(model)).git_tag
        if known:
            return {"decision_id": known.id, "decision": known.decision.value}
        champion = promotion.model_version if promotion else None
        entries = self.snapshots.read(tag)
        test = self._test_set([e for e in entries if e.split is Split.TEST])
        found = self._judge(test, champion, version, context.progress)
        # Also of a challenger that is refused people want to see what it does: on val, test images are the gate's.
        self._look_at(version, [e for e in entries if e.split is Split.VAL], context.progress)
        with self.units() as work:
            # Another worker may have decided meanwhile: a second decision could promote again what was rolled back.
            known = work.models.decision_about(version)
            if known:
                return {"decision_id": known.id, "decision": known.decision.value}
            comparison = work.models.comparisons(test.truth_hash) + 1
            reasons = (*found.reasons, *_notes(test, comparison))
            evidence = {**found.evidence, "comparison": comparison, "test_hash": test.truth_hash}
            evidence["counts"] = {**found.evidence["counts"], "left_out": test.n_gone}
            decision = work.models.add_decision(
                champion, version, found.decision, reasons, evidence, self.clock.now(), test.truth_hash
            )
            work.commit()
        return {"decision_id": decision.id, "decision": decision.decision.value, "reasons": list(reasons)}

    @staticmethod
    def _snapshot_of(model: ModelVersion) -> int:
        if model.snapshot_id is None:
            raise ConflictError(f"Version {model.version} was not trained on a snapshot, so there is no test split.")
        return model.snapshot_id

    def _look_at(self, version: int, entries: Sequence[SnapshotEntry], progress: Callable[[float, str], None]) -> None:
        hashes = {entry.sha256 for entry in entries}
        with self.units(read_only=True) as work:
            unseen = work.images.unscored(version)
        self.score_pool.score(version, [image for image in unseen if image.sha256 in hashes], progress)

    def _test_set(self, entries: Sequence[SnapshotEntry]) -> _TestSet:
        with self.units(read_only=True) as work:
            by_hash = {image.sha256: image for image in work.images.active()}
        there = tuple(e for e in entries if e.sha256 in by_hash)
        images = {e.sha256: by_hash[e.sha256] for e in there}
        return _TestSet(truth_hash(entries), there, images, len(entries) - len(there))

    def _judge(
        self,
        test: _TestSet,
        champion: int | None,
        challenger: int,
        progress: Callable[[float, str], None],
    ) -> GateDecision:
        new = self._records(challenger, test, progress)
        old = self._records(champion, test, progress) if champion else None
        photos = {sha256: (image.stored.quality, image.origin) for sha256, image in test.images.items()}
        return decide(
            self.params.gate.rules(),
            self.params.labels.classes,
            new,
            self._thresholds(challenger),
            old,
            self._thresholds(champion) if champion else None,
            {**slices_of(photos, self.params.serving.dark_brightness), Slice.DRIFTED: self._drifted(test)},
        )

    def _drifted(self, test: _TestSet) -> frozenset[str]:
        """Return the test images that are like the photos of the newest drift event, open or resolved."""
        with self.units(read_only=True) as work:
            events = work.drift.events(1)
        bounds = DriftBounds(events[0].bounds if events else {})
        return frozenset(
            name for name, image in test.images.items() if bounds.affects(image.size_wh, image.stored.quality)
        )

    def _thresholds(self, version: int) -> Mapping[str, float]:
        return with_current_names(self.releases.manifest(version), self.params.labels.former).thresholds

    def _records(self, version: int, test: _TestSet, progress: Callable[[float, str], None]) -> Records:
        """Return one record for each test image; a model that can't answer for one must not be compared."""
        ids = [image.id for image in test.images.values()]
        with self.units(read_only=True) as work:
            scored = work.predictions.of_version(version, ids)
        self.score_pool.score(version, [i for i in test.images.values() if i.id not in scored], progress)
        with self.units(read_only=True) as work:
            predictions = work.predictions.of_version(version, ids)
        former = self.params.labels.former
        return [_record(e, predictions.get(test.images[e.sha256].id), version, former) for e in test.entries]


def _record(entry: SnapshotEntry, prediction: Prediction | None, version: int, former: FormerNames) -> ImageEvaluation:
    if prediction is None:
        raise ConflictError(
            f"Version {version} has no prediction for test image {entry.sha256[:12]}; `damageloop verify` says "
            "whether its bytes are still there."
        )
    # A box of a removed class is judged by nobody, but keeps its image from counting as clean.
    truths = [LabeledBox(former.current(b.damage_class) or b.damage_class, b.box) for b in entry.boxes]
    detections = current_detections(prediction.detections, former)
    return evaluate_image(entry.sha256, entry.group, truths, detections, entry.size_wh)


def _notes(test: _TestSet, comparison: int) -> list[str]:
    gone = f"{test.n_gone} test images were forgotten or excluded since the snapshot; they are left out for both."
    return [*([gone] if test.n_gone else []), f"This is comparison {comparison} against this test set."]
