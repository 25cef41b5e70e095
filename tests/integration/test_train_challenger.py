"""What a training tells of itself: the parameters that its snapshot committed, and what is not as it was then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from damageloop.domain.annotation import Verdict
from damageloop.domain.snapshot import Snapshot, SnapshotEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.ports import SnapshotDraft, WrittenSnapshot
from damageloop.services.models.train_challenger import TrainChallenger
from tests.factories import MOMENT
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crashing, Fuse, KilledError
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.job_context import NoContext
from tests.fakes.training import FakePipeline, FakeRegistry, FakeReleaseStore, FakeSnapshotStore

COMMITTED = {
    "labels": {"classes": ["dent"]},
    "training": {"epochs": 3, "seed": 7},
    "gate": {"min_test_images": 5},
}
MADE_BY = {"code_revision": "code-1", "lock_hash": "lock-1", "seeds": {"split": 0, "training": 7}}


@dataclass
class TellingRegistry(FakeRegistry):
    """Remembers what a run was opened with."""

    told: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def start_run(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        self.told.append((dict(tags), dict(params)))
        return super().start_run(name, tags, params)


class CommittedParams(FakeSnapshotStore):
    def written(self, git_tag: str) -> WrittenSnapshot:
        return replace(super().written(git_tag), params=COMMITTED)


@dataclass
class World:
    units: SqliteUnits
    registry: TellingRegistry = field(default_factory=TellingRegistry)
    releases: FakeReleaseStore = field(default_factory=FakeReleaseStore)
    pipeline: FakePipeline = field(default_factory=lambda: FakePipeline(("dent",)))
    store: CommittedParams = field(default_factory=CommittedParams)

    def __post_init__(self) -> None:
        entry = SnapshotEntry("ab" * 32, "jpg", (9, 9), "car", Split.VAL, Verdict.CLEAN, ())
        tag, commit = self.store.write(SnapshotDraft(1, Shards.of([entry]), dict(MADE_BY)))
        row = Snapshot(1, tag, commit, "", None, {}, "code-1", "lock-1", "p", MOMENT)
        with self.units() as work:
            work.snapshots.add(row, 0)
            work.commit()

    def train(self, code: str = "code-1", fuse: Fuse | None = None) -> dict[str, Any]:
        registry: Any = Crashing(self.registry, fuse) if fuse else self.registry
        running = {"code_revision": code, "lock_hash": "lock-1"}
        train = TrainChallenger(
            self.units, self.pipeline, registry, self.releases, FakeClock(), self.store, lambda: running
        )
        return train({"training_key": f"snapshot-0001:p:{code}", "snapshot_id": 1}, NoContext())


@pytest.fixture(name="world")
def world_(tmp_path: Path) -> Iterator[World]:
    with sqlite_units(tmp_path, FakeClock()) as units:
        yield World(units)


def test_what_is_logged_is_what_the_snapshot_committed_whatever_is_live_now(world: World) -> None:
    assert "warnings" not in world.train()
    tags, params = world.registry.told[0]
    assert params == {
        "labels.classes": ["dent"],
        "training.epochs": 3,
        "training.seed": 7,
        "seeds.split": 0,
        "seeds.training": 7,
    }
    assert "provenance_warning" not in tags


def test_the_release_says_in_which_precision_it_computes_and_why(world: World) -> None:
    world.pipeline.precision = "bf16"
    world.pipeline.card = {"precision": {"chosen": "bf16", "reason": "it holds"}}
    version = world.train()["model_version"]
    manifest = world.releases.manifest(version)
    assert (manifest.precision, manifest.card) == ("bf16", world.pipeline.card)


def test_a_training_on_other_code_than_the_snapshots_says_so_in_its_result_and_its_run(world: World) -> None:
    result = world.train(code="code-2")
    assert result["warnings"] == ["the code is code-2, the snapshot was made with code-1"]
    tags, _ = world.registry.told[0]
    assert tags["provenance_warning"] == result["warnings"][0]
    assert (tags["code_revision"], tags["running_code_revision"]) == ("code-1", "code-2")


@pytest.mark.parametrize("n_calls", [1, 2, 3])
def test_a_worker_killed_after_any_call_to_the_registry_leaves_one_run_and_one_version(
    world: World, n_calls: int
) -> None:
    with pytest.raises(KilledError):
        world.train(fuse=Fuse(n_calls))
    result = world.train()
    assert [run.state for run in world.registry.runs.values()] == ["finished"]
    assert (result["model_version"], len(world.registry.versions)) == (1, 1)
