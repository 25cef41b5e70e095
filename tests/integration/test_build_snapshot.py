"""When a snapshot is new, what a refused or broken one leaves, and what the next one has to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Origin
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, UnavailableError
from damageloop.params import Params
from damageloop.services.images.join_duplicates import join_groups
from damageloop.services.integrity.invariants.snapshot_splits import splits_are_kept
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from damageloop.services.snapshots.inspect_snapshots import InspectSnapshots
from damageloop.services.snapshots.verify_snapshots import VerifySnapshots
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crashing, CrashingUnits, Fuse, KilledError
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params, make_stored
from tests.fakes.training import FakeSnapshotStore
from tests.integration.databases import BOTH

on_both_databases = pytest.mark.parametrize("database", BOTH, indirect=True)
PARAMS = make_params(retrain={"max_deleted_share": 1.0})
N_IMAGES = 60


class World:
    """Sixty images of thirty cars, every second one damaged, ten cars in each split."""

    def __init__(self, units: SqlUnitOfWorkFactory) -> None:
        self.units = units
        self.store = FakeSnapshotStore()
        self.clock = FakeClock()
        with units() as work:
            for number in range(1, N_IMAGES + 1):
                split = list(Split)[(number - 1) // 2 % 3]
                stored = replace(make_stored(number), sha256=f"{number:02x}{number:062x}")
                work.images.add(stored, f"{number}.jpg", f"car{(number - 1) // 2}", split, Origin.IMPORT)
                work.annotations.upsert(self._said(number, 40.0 if number % 2 else None, "dent"))
            work.commit()

    def annotate(self, image_id: int, x_max: float | None, damage_class: str = "dent", person: str = "ann") -> None:
        with self.units() as work:
            work.annotations.upsert(self._said(image_id, x_max, damage_class, person))
            work.commit()

    def _said(self, image_id: int, x_max: float | None, damage_class: str, person: str = "ann") -> Annotation:
        self.clock.advance(seconds=1)
        boxes = (LabeledBox(damage_class, Box(10.0, 10.0, x_max, 30.0)),) if x_max else ()
        verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
        return Annotation(image_id, verdict, boxes, "import", f"{image_id}-{person}", person, self.clock.now())

    def build(self, params: Params = PARAMS, code: str = "code-1", fuse: Fuse | None = None) -> dict[str, Any]:
        units: Any = CrashingUnits(self.units, fuse) if fuse else self.units
        store: Any = Crashing(self.store, fuse) if fuse else self.store
        provenance = Provenance(code, "lock-1", "base.pt", "cd" * 32)
        return BuildSnapshot(units, store, lambda: provenance, self.clock, params)({}, NoContext())

    def snapshots(self) -> list[Snapshot]:
        with self.units(read_only=True) as work:
            return work.snapshots.all()


@pytest.fixture(name="world")
def world_(units: SqlUnitOfWorkFactory) -> World:
    return World(units)


@on_both_databases
def test_a_snapshot_is_new_when_content_or_parameters_differ_and_not_otherwise(world: World) -> None:
    assert world.build()["is_new"]
    assert not world.build()["is_new"]
    # Another code alone trains anew on the same snapshot; it makes none.
    assert not world.build(code="code-2")["is_new"]
    world.annotate(1, 41.0)
    assert world.build()["is_new"]
    world.annotate(1, 42.0)
    world.annotate(1, 41.0)
    assert not world.build()["is_new"]
    other = make_params(retrain={"max_deleted_share": 1.0}, training={"epochs": 3})
    assert world.build(other)["is_new"]
    assert not world.build(other)["is_new"]
    assert [s.git_tag for s in world.snapshots()] == ["snapshot-0001", "snapshot-0002", "snapshot-0003"]


def test_the_next_snapshot_reads_only_what_changed(world: World) -> None:
    world.build()
    world.annotate(5, 50.0)
    fetched: list[int] = []
    event.listen(
        world.units.engine,
        "after_cursor_execute",
        lambda _conn, _cursor, statement, parameters, *_: (
            fetched.append(len(parameters)) if " IN (" in statement else None
        ),
    )
    report = world.build()["report"]
    assert (report["checked"], report["images"], report["was_read_in_full"]) == (1, N_IMAGES, False)
    # No question to the database names more images than the changed one and its group.
    assert max(fetched) <= 3


def test_under_another_rule_for_annotations_everything_is_read_again(world: World) -> None:
    world.build()
    other = make_params(retrain={"max_deleted_share": 1.0}, annotation={"resolve": "consensus"})
    world.annotate(5, 50.0)
    assert world.build(other)["report"]["was_read_in_full"]


def test_a_parent_that_the_workspace_has_lost_is_not_built_upon(world: World) -> None:
    world.build()
    world.annotate(5, 50.0)

    def lost(git_tag: str) -> Any:
        raise UnavailableError(f"dvc has no {git_tag}.")

    world.store.read_shards, kept = lost, world.store.read_shards  # type: ignore[method-assign]
    result = world.build()
    world.store.read_shards = kept  # type: ignore[method-assign]
    assert result["report"]["was_read_in_full"]
    assert len(world.store.read(result["git_tag"])) == N_IMAGES


@on_both_databases
def test_a_snapshot_from_before_hashes_by_shard_were_kept_is_compared_by_its_content(world: World) -> None:
    world.build()
    with world.units.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE snapshots SET shards = NULL, report = NULL, content_hash = 'old'")
    assert not world.build()["is_new"]
    world.annotate(5, 50.0)
    assert world.build()["report"]["was_read_in_full"]
    world.annotate(6, 50.0)
    assert not world.build()["report"]["was_read_in_full"]


def test_a_refused_snapshot_leaves_nothing_and_says_where_and_how_to_see_more(world: World) -> None:
    world.build()
    world.annotate(7, 50.0, "rust")
    with pytest.raises(ConflictError, match=r"1 boxes are of a class .*image 0700000000.*snapshot check"):
        world.build()
    assert (len(world.snapshots()), world.store.tags()) == (1, ["snapshot-0001"])
    found = InspectSnapshots(world.units, world.store, PARAMS).check()
    assert not found.is_ok
    assert [f.code for f in found.report.errors] == ["unknown_class"]
    assert found.report.n_checked == N_IMAGES
    world.annotate(7, 50.0)
    assert InspectSnapshots(world.units, world.store, PARAMS).check().is_ok


@pytest.mark.parametrize("n_calls", [1, 2])
def test_a_worker_killed_after_the_tag_leaves_one_that_the_next_takes_up_whatever_changed_meanwhile(
    world: World, n_calls: int
) -> None:
    with pytest.raises(KilledError):
        world.build(fuse=Fuse(n_calls))
    world.annotate(9, 44.0)
    result = world.build()
    # Killed before its row was there the first one is recorded late; the change is in the second.
    assert [s.git_tag for s in world.snapshots()] == ["snapshot-0001", "snapshot-0002"] == world.store.tags()
    assert (result["git_tag"], result["is_new"]) == ("snapshot-0002", True)
    first, second = world.snapshots()
    assert (first.parent_id, second.parent_id) == (None, first.id)
    assert first.counts == second.counts
    assert not any(v.violations for v in VerifySnapshots(world.units, world.store, AllThere())())  # type: ignore[arg-type]


@on_both_databases
def test_an_adopted_snapshot_is_what_its_own_job_made(world: World) -> None:
    with pytest.raises(KilledError):
        world.build(fuse=Fuse(1))
    result = world.build()
    assert (result["git_tag"], result["is_new"], len(world.snapshots())) == ("snapshot-0001", True, 1)
    with world.units(read_only=True) as work:
        assert work.snapshots.latest_sequence() == work.annotations.sequence()


def test_a_tag_that_a_newer_snapshot_has_overtaken_is_set_aside(world: World) -> None:
    world.build()
    world.annotate(9, 44.0)
    world.build()
    with world.units.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE snapshots SET parent_id = NULL")
        connection.exec_driver_sql("DELETE FROM snapshots WHERE id = 1")
    assert not world.build()["is_new"]
    assert (world.store.tags(), world.store.aside) == (["snapshot-0002"], ["snapshot-0001"])


def test_a_diff_names_snapshots_by_number_or_tag(world: World) -> None:
    world.build()
    world.annotate(9, 44.0)
    world.annotate(11, None)
    world.build()
    inspect = InspectSnapshots(world.units, world.store, PARAMS)
    found = inspect.diff("1", "snapshot-0002").summary()
    assert found["boxes"] == {"added": 0, "removed": 1, "moved": 1, "relabeled": 0}
    assert found["by_annotator"]["ann"]["images"]["verdict_changed"] == 1
    assert inspect.diff("snapshot-0002", "2").images == ()


class AllThere:
    """An image store that has every image."""

    def verify(self, store_key: str, sha256: str) -> bool:
        return sha256 in store_key


def test_verifying_tells_a_row_that_disagrees_with_its_shards_and_lost_bytes(world: World) -> None:
    world.build()

    class OneLost(AllThere):
        def verify(self, store_key: str, sha256: str) -> bool:
            return not sha256.startswith("05")

    verify = VerifySnapshots(world.units, world.store, OneLost())  # type: ignore[arg-type]
    (found,) = verify()
    assert found.violations == ("image 050000000000: its bytes are missing or damaged",)
    with world.units.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE snapshots SET counts = '{}', git_commit = 'beef'")
    (found,) = verify("snapshot-0001")
    assert len(found.violations) == 3


@on_both_databases
def test_a_tag_is_recorded_once_and_the_unit_goes_on(world: World) -> None:
    world.build()
    (known,) = world.snapshots()
    with world.units() as work:
        with pytest.raises(ConflictError, match="recorded already"):
            work.snapshots.add(replace(known, id=9), 0)
        assert work.snapshots.latest() == known


def test_an_image_that_changed_its_split_is_told_by_verify(world: World) -> None:
    world.build()
    world.annotate(9, 44.0)
    world.build()
    with world.units(read_only=True) as work:
        assert list(splits_are_kept(work, world.store)) == []
    draft = world.store.by_tag["snapshot-0002"]
    moved = [replace(e, split=Split.TEST) if e.vehicle == "car0" else e for e in draft.shards.entries()]
    world.store.by_tag["snapshot-0002"] = replace(draft, shards=Shards.of(moved))
    with world.units(read_only=True) as work:
        found = list(splits_are_kept(work, world.store))
    # Both photos of the car, against the snapshot before and against the database.
    assert (
        sorted(text.partition(": ")[0][:18] for text in found)
        == ["image 010000000000"] * 2 + ["image 020000000000"] * 2
    )
    assert "image 010000000000 moved from train to test with snapshot-0002" in found


def test_groups_that_were_joined_since_are_read_again(world: World) -> None:
    before = world.build()["counts"]
    # Image 1 is of a car in train, image 3 of one in val, image 7 of another one in train.
    with world.units() as work:
        join_groups(work, {"car0", "car3"})
        work.commit()
    joined = world.build()
    assert not joined["report"]["was_read_in_full"]
    assert joined["counts"]["train"]["groups"] == before["train"]["groups"] - 1
    with world.units() as work:
        join_groups(work, {"car0", "car1"})
        work.commit()
    split = world.build()
    # Four photos of two cars leave train for ever; val keeps its own.
    assert split["counts"]["train"]["images"] == before["train"]["images"] - 4
    assert split["counts"]["val"] == before["val"]
    assert {e.joined_group for e in world.store.read(split["git_tag"]) if e.vehicle == "car1"} == {"car0"}


@on_both_databases
def test_the_same_said_again_after_another_person_counts_again(world: World) -> None:
    world.annotate(9, None, person="bob")
    world.build()
    # The content of what ann says is what it was; by its time it is the latest now.
    world.annotate(9, 40.0, person="ann")
    result = world.build()
    assert (result["is_new"], result["report"]["checked"]) == (True, 1)
    assert [len(e.boxes) for e in world.store.read(result["git_tag"]) if e.sha256.startswith("09")] == [1]
