"""Train a challenger from the base on one snapshot, and register and release what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.release import ReleaseManifest, calibration_from_json
from damageloop.domain.snapshot import Snapshot
from damageloop.errors import DamageloopError
from damageloop.params import Params
from damageloop.ports import (
    Clock,
    JobContext,
    ModelRegistry,
    PipelineRunner,
    ReleaseStore,
    TrainingRequest,
    TrainingResult,
)
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.numbers import flat, numbers


@dataclass(frozen=True, slots=True)
class TrainChallenger:
    """Runs one training; a key that has a registered model is not trained again."""

    units: UnitOfWorkFactory
    runner: PipelineRunner
    registry: ModelRegistry
    releases: ReleaseStore
    clock: Clock
    params: Params

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
        result, run_id = self._train(key, version, snapshot, context)
        self._register(version, snapshot, result, run_id, key)
        return {"model_version": version, "is_new": True, "run_id": run_id, "metrics": result.metrics}

    def _train(self, key: str, version: int, snapshot: Snapshot, context: JobContext) -> tuple[TrainingResult, str]:
        tags = {
            "training_key": key,
            "model_version": str(version),
            "snapshot": snapshot.git_tag,
            "snapshot_commit": snapshot.git_commit,
            "code_revision": snapshot.code_revision,
            "lock_hash": snapshot.lock_hash,
        }
        # The training takes the parameters that the snapshot committed; an edit since then is not in it.
        is_same = snapshot.params_hash == self.params.hash()
        run_id = self.registry.start_run(f"challenger-{version}", tags, self._logged() if is_same else {})
        request = TrainingRequest(snapshot.git_tag, key, run_id)
        try:
            return self.runner.run(request, context.progress, context.is_cancelled), run_id
        except DamageloopError as exc:
            self.registry.fail_run(run_id, str(exc))
            raise

    def _logged(self) -> dict[str, Any]:
        return flat(self.params.model_dump(mode="json", include={"labels", "model", "training", "score"}))

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
                precision="f32",
                files={},
                thresholds=result.thresholds,
                none_calibration=calibration_from_json(result.none_calibration),
                source=source,
            ),
        )
        self.registry.finish_run(run_id, numbers(result.metrics), result.export_files)
        hashes = {f"sha256.{name}": digest for name, digest in manifest.files.items()}
        number = self.registry.register(run_id, version, {"snapshot": snapshot.git_tag, **hashes})
        with self.units() as work:
            work.models.record(version, run_id, number, result.metrics)
            work.commit()


def training_key(snapshot: Snapshot, code_revision: str) -> str:
    """Return the key of a training: the same (snapshot, parameters, code) is never trained twice.

    The parameters are those that the snapshot committed: a later edit counts from the next snapshot on.
    """
    return f"{snapshot.git_tag}:{snapshot.params_hash[:12]}:{code_revision[:24]}"
