"""Train a challenger from the base on one snapshot, and register and release what came out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.provenance import differences
from damageloop.domain.release import MANIFEST, ReleaseManifest, calibration_from_json
from damageloop.domain.snapshot import Snapshot
from damageloop.errors import DamageloopError
from damageloop.ports import (
    Clock,
    JobContext,
    ModelRegistry,
    PipelineRunner,
    ReleaseStore,
    SnapshotStore,
    TrainingRequest,
    TrainingResult,
    WrittenSnapshot,
)
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.models.numbers import flat, numbers

logger = logging.getLogger(__name__)

# What a training depends on, of the parameters that its snapshot committed.
_LOGGED = ("labels", "model", "training", "score")


@dataclass(frozen=True, slots=True)
class TrainChallenger:
    """Runs one training; a key that has a registered model is not trained again.

    Attributes:
        running: Returns code revision and lock hash as they are now: a snapshot of others is trained with a warning.
    """

    units: UnitOfWorkFactory
    runner: PipelineRunner
    registry: ModelRegistry
    releases: ReleaseStore
    clock: Clock
    snapshots: SnapshotStore
    running: Callable[[], Mapping[str, str]]

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Train on `snapshot_id` under `training_key`; each step is safe to repeat after a crash."""
        key, snapshot_id = str(inputs["training_key"]), int(inputs["snapshot_id"])
        with self.units() as work:
            done = work.models.by_training_key(key)
            snapshot = work.snapshots.get(snapshot_id)
            version = work.models.allot(key, snapshot_id, self.clock.now())
            work.commit()
        if done:
            return {"model_version": done.version, "is_new": False}
        # Also the parameters are those that the snapshot committed: an edit since then is not in this training.
        written = self.snapshots.written(snapshot.git_tag)
        warnings = differences(written.provenance, self.running())
        for warning in warnings:
            logger.warning("training on %s: %s", snapshot.git_tag, warning)
        tags = self._tags(key, version, snapshot, warnings)
        result, run_id = self._train(key, written, tags, context)
        self._register(version, snapshot, result, run_id, key)
        done_now = {"model_version": version, "is_new": True, "run_id": run_id, "metrics": result.metrics}
        return {**done_now, "warnings": list(warnings)} if warnings else done_now

    def _tags(self, key: str, version: int, snapshot: Snapshot, warnings: tuple[str, ...]) -> dict[str, str]:
        return {
            "training_key": key,
            "model_version": str(version),
            "snapshot": snapshot.git_tag,
            "snapshot_commit": snapshot.git_commit,
            "code_revision": snapshot.code_revision,
            "lock_hash": snapshot.lock_hash,
            **{f"running_{name}": value for name, value in self.running().items()},
            **({"provenance_warning": "; ".join(warnings)} if warnings else {}),
        }

    def _train(
        self, key: str, written: WrittenSnapshot, tags: Mapping[str, str], context: JobContext
    ) -> tuple[TrainingResult, str]:
        run_id = self.registry.start_run(f"challenger-{tags['model_version']}", tags, _logged(written))
        request = TrainingRequest(written.git_tag, key, run_id)
        try:
            return self.runner.run(request, context.progress, context.is_cancelled), run_id
        except DamageloopError as exc:
            # Another worker that has taken the job over goes on in the same run.
            if not context.is_taken_over():
                self.registry.fail_run(run_id, str(exc), context.is_cancelled())
            raise

    def _register(self, version: int, snapshot: Snapshot, result: TrainingResult, run_id: str, key: str) -> None:
        source = {
            "snapshot": snapshot.git_tag,
            "snapshot_commit": snapshot.git_commit,
            "run_id": run_id,
            "training_key": key,
            **result.provenance,
        }
        manifest = self.releases.publish(
            version,
            result.export_files,
            ReleaseManifest(
                model_version=version,
                labels=result.labels,
                image_size=result.image_size,
                precision=result.precision,
                files={},
                thresholds=result.thresholds,
                none_calibration=calibration_from_json(result.none_calibration),
                source=source,
                card=result.card,
            ),
        )
        # The manifest too: with it a damaged release can be mended from the run.
        files = {**result.export_files, MANIFEST: self.releases.folder(version) / MANIFEST}
        self.registry.finish_run(run_id, numbers(result.metrics), files)
        hashes = {f"sha256.{name}": digest for name, digest in manifest.files.items()}
        tags = {"snapshot": snapshot.git_tag, "precision": manifest.precision, **hashes}
        number = self.registry.register(run_id, version, tags)
        with self.units() as work:
            work.models.record(version, run_id, number, result.metrics)
            work.commit()


def _logged(written: WrittenSnapshot) -> dict[str, Any]:
    seeds = written.provenance.get("seeds") or {}
    sections = {name: written.params[name] for name in _LOGGED if name in written.params}
    return {**flat(sections), **flat({"seeds": seeds})}


def training_key(snapshot: Snapshot, code_revision: str) -> str:
    """Return the key of a training: the same (snapshot, parameters, code) is never trained twice.

    The parameters are those that the snapshot committed: a later edit counts from the next snapshot on.
    """
    return f"{snapshot.git_tag}:{snapshot.params_hash[:12]}:{code_revision[:24]}"
