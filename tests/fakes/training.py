"""Snapshots, training, registry and releases in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from damageloop.domain.release import ReleaseManifest
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import Progress, SnapshotDraft, TrainingRequest, TrainingResult, WrittenSnapshot


@dataclass
class FakeSnapshotStore:
    """Implements `SnapshotStore`: the same draft returns its tag, another one gets the next free one."""

    by_tag: dict[str, SnapshotDraft] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)
    n_read: int = 0

    def write(self, draft: SnapshotDraft) -> tuple[str, str]:
        if not draft.shards.manifest:
            raise InvalidInputError("A snapshot needs images.")
        content = (draft.shards.hashes(), draft.provenance)
        for tag, known in self.by_tag.items():
            if (known.shards.hashes(), known.provenance) == content:
                return tag, f"commit-of-{tag}"
        tag = f"snapshot-{max(draft.number, len(self.by_tag) + len(self.aside) + 1):04d}"
        self.by_tag[tag] = draft
        return tag, f"commit-of-{tag}"

    def read(self, git_tag: str) -> tuple[SnapshotEntry, ...]:
        return self.read_shards(git_tag).entries()

    def read_shards(self, git_tag: str) -> Shards:
        self.n_read += 1
        return self._draft(git_tag).shards

    def written(self, git_tag: str) -> WrittenSnapshot:
        draft = self._draft(git_tag)
        return WrittenSnapshot(git_tag, f"commit-of-{git_tag}", draft.provenance, draft.note, {})

    def tags(self) -> list[str]:
        return sorted(self.by_tag)

    def set_aside(self, git_tag: str) -> None:
        del self.by_tag[git_tag]
        self.aside.append(git_tag)

    def is_pushed(self, git_tag: str) -> bool:
        return git_tag in self.by_tag

    def leftovers(self) -> list[str]:
        return []

    def _draft(self, git_tag: str) -> SnapshotDraft:
        if git_tag not in self.by_tag:
            raise NotFoundError(f"There is no snapshot {git_tag!r}.")
        return self.by_tag[git_tag]


@dataclass
class FakePipeline:
    """Implements `PipelineRunner`: every training ends at once and well."""

    classes: tuple[str, ...]
    trained: list[TrainingRequest] = field(default_factory=list)
    precision: str = "f32"
    card: dict[str, Any] = field(default_factory=dict)

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
            card=self.card,
            precision=self.precision,
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
    known: dict[str, int] = field(default_factory=dict)
    is_down: bool = False

    def start_run(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        for run_id, run in self.runs.items():
            if run.training_key == tags["training_key"] and run.state in ("running", "finished"):
                run.state = "running"
                return run_id
        run_id = f"run-{len(self.runs) + 1}"
        self.runs[run_id] = FakeRun(tags["training_key"])
        return run_id

    def finish_run(self, run_id: str, metrics: Mapping[str, float], files: Mapping[str, Path]) -> None:
        self.runs[run_id].state = "finished"

    def fail_run(self, run_id: str, reason: str, is_cancelled: bool = False) -> None:
        self.runs[run_id].state = "killed" if is_cancelled else "failed"

    def register(self, run_id: str, model_version: int, tags: Mapping[str, str]) -> str:
        key = self.runs[run_id].training_key
        number = self.versions.setdefault(key, str(100 + len(self.versions)))
        self.known[number] = model_version
        return number

    def set_champion(self, mlflow_version: str) -> None:
        if mlflow_version not in self.versions.values():
            raise NotFoundError(f"There is no registered version {mlflow_version}.")
        self.alias = mlflow_version

    def champion(self) -> str | None:
        return self.alias

    def known_as(self, mlflow_version: str) -> int | None:
        if self.is_down:
            raise UnavailableError("MLflow does not answer.")
        return self.known.get(mlflow_version)

    def download(self, mlflow_version: str, folder: Path) -> dict[str, Path]:
        raise NotImplementedError

    def file_hashes(self, mlflow_version: str) -> dict[str, str]:
        raise NotImplementedError


@dataclass
class FakeReleaseStore:
    """Implements `ReleaseStore` without files. What is in `damaged` fails its check."""

    manifests: dict[int, ReleaseManifest] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)

    def publish(self, version: int, files: Mapping[str, Path], manifest: ReleaseManifest) -> ReleaseManifest:
        complete = replace(manifest, model_version=version, files=dict.fromkeys(files, "ab" * 32))
        known = self.manifests.setdefault(version, complete)
        if replace(known, source={}, card={}) != replace(complete, source={}, card={}):
            raise ConflictError(f"Release {version} exists with other content.")
        return known

    def repair(self, version: int, files: Mapping[str, Path], hashes: Mapping[str, str]) -> ReleaseManifest:
        self.damaged.discard(version)
        return self.manifest(version)

    def manifest(self, version: int) -> ReleaseManifest:
        if version not in self.manifests:
            raise NotFoundError(f"There is no release of version {version}.")
        return self.manifests[version]

    def folder(self, version: int) -> Path:
        self.manifest(version)
        if version in self.damaged:
            raise ConflictError(f"File model.bin of release {version} is damaged or missing.")
        return Path("releases") / str(version)
