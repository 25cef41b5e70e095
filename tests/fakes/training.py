"""Snapshots, training, registry and releases in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from damageloop.domain.release import ReleaseManifest
from damageloop.domain.snapshot import SnapshotEntry, content_hash
from damageloop.errors import ConflictError, NotFoundError
from damageloop.ports import Progress, SnapshotDraft, TrainingRequest, TrainingResult


@dataclass
class FakeSnapshotStore:
    """Implements `SnapshotStore`: the same content returns its tag, other content gets the next free one."""

    by_tag: dict[str, tuple[SnapshotEntry, ...]] = field(default_factory=dict)

    def write(self, draft: SnapshotDraft) -> tuple[str, str]:
        for tag, entries in self.by_tag.items():
            if content_hash(entries) == content_hash(draft.entries):
                return tag, f"commit-of-{tag}"
        tag = f"snapshot-{max(draft.number, len(self.by_tag) + 1):04d}"
        self.by_tag[tag] = draft.entries
        return tag, f"commit-of-{tag}"

    def read(self, git_tag: str) -> tuple[SnapshotEntry, ...]:
        if git_tag not in self.by_tag:
            raise NotFoundError(f"There is no snapshot {git_tag!r}.")
        return self.by_tag[git_tag]

    def tags(self) -> list[str]:
        return sorted(self.by_tag)


@dataclass
class FakePipeline:
    """Implements `PipelineRunner`: every training ends at once and well."""

    classes: tuple[str, ...]
    trained: list[TrainingRequest] = field(default_factory=list)

    def run(self, request: TrainingRequest, progress: Progress, is_cancelled: Callable[[], bool]) -> TrainingResult:
        progress(0.5, "epoch 7 of 14")
        self.trained.append(request)
        return TrainingResult(
            export_files={"model.xml": Path("model.xml")},
            metrics={"test": {"map50": 0.9}},
            thresholds=dict.fromkeys(self.classes, 0.5),
            none_calibration=None,
            labels=self.classes,
            image_size=256,
            provenance={"base": "starter-yolo11n.pt"},
        )


@dataclass
class FakeRun:
    training_key: str
    state: str = "running"


@dataclass
class FakeRegistry:
    """Implements `ModelRegistry`; counts the moves of the alias."""

    runs: dict[str, FakeRun] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    alias: str | None = None

    def start_run(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        for run_id, run in self.runs.items():
            if run.training_key == tags["training_key"] and run.state == "running":
                return run_id
        run_id = f"run-{len(self.runs) + 1}"
        self.runs[run_id] = FakeRun(tags["training_key"])
        return run_id

    def finish_run(self, run_id: str, metrics: Mapping[str, float], files: Mapping[str, Path]) -> None:
        self.runs[run_id].state = "finished"

    def fail_run(self, run_id: str, reason: str) -> None:
        self.runs[run_id].state = "failed"

    def register(self, run_id: str, model_version: int, tags: Mapping[str, str]) -> str:
        key = self.runs[run_id].training_key
        return self.versions.setdefault(key, str(100 + len(self.versions)))

    def set_champion(self, mlflow_version: str) -> None:
        if mlflow_version not in self.versions.values():
            raise NotFoundError(f"There is no registered version {mlflow_version}.")
        self.alias = mlflow_version

    def champion(self) -> str | None:
        return self.alias


@dataclass
class FakeReleaseStore:
    """Implements `ReleaseStore` without files. What is in `damaged` fails its check."""

    manifests: dict[int, ReleaseManifest] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)

    def publish(self, version: int, files: Mapping[str, Path], manifest: ReleaseManifest) -> ReleaseManifest:
        complete = replace(manifest, model_version=version, files=dict.fromkeys(files, "ab" * 32))
        known = self.manifests.setdefault(version, complete)
        if replace(known, source={}) != replace(complete, source={}):
            raise ConflictError(f"Release {version} exists with other content.")
        return known

    def manifest(self, version: int) -> ReleaseManifest:
        if version not in self.manifests:
            raise NotFoundError(f"There is no release of version {version}.")
        return self.manifests[version]

    def folder(self, version: int) -> Path:
        self.manifest(version)
        if version in self.damaged:
            raise ConflictError(f"File model.bin of release {version} is damaged or missing.")
        return Path("releases") / str(version)
