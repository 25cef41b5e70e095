"""The proof that what people answer to known items never reaches the data that models are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params
from tests.fakes.training import FakeSnapshotStore
from tests.integration.round_world import RoundWorld, label, new_round_world

WRONG = LabeledBox("scratch", Box(60, 10, 90, 30))
PARAMS = make_params(
    round={"query_size": 10, "explored_share": 0.2, "audited_share": 0.2},
    annotation={"known_item_share": 0.3},
    retrain={"max_deleted_share": 1.0},
)
# Of each split, so that a snapshot can be built.
IMPORTED = [*range(1, 11), *range(41, 44), *range(47, 53)]
CLEAN = [11, 44, 53]


def build(world: RoundWorld, store: FakeSnapshotStore) -> dict[str, Any]:
    provenance = Provenance("code-1", "lock-1", "base.pt", "cd" * 32)
    return BuildSnapshot(world.units, store, lambda: provenance, world.clock, world.params)({}, NoContext())


def label_all(world: RoundWorld) -> None:
    label(world, IMPORTED)
    with world.units() as work:
        for image_id in CLEAN:
            work.annotations.upsert(
                Annotation(image_id, Verdict.CLEAN, (), "import", f"import-{image_id}", "anna", world.clock.now())
            )
        work.commit()


def entries(store: FakeSnapshotStore, result: dict[str, Any]) -> list[SnapshotEntry]:
    return sorted(store.read(result["git_tag"]), key=lambda entry: entry.sha256)


def test_a_known_answer_changes_no_snapshot_however_wrong_it_is(tmp_path: Path) -> None:
    with new_round_world(tmp_path, PARAMS) as world:
        label_all(world)
        world.open(1)
        world.send_opinions()
        store = FakeSnapshotStore()
        before = build(world, store)
        held = entries(store, before)
        known = [opinion for opinion in world.opinions() if opinion.kind is OpinionKind.KNOWN]
        assert known
        for opinion in known:
            world.tool.submit(opinion.task_id or 0, [WRONG])
        world.receive()
        world.send_opinions()
        assert {opinion.state for opinion in world.opinions()} == {OpinionState.REVIEWED}
        after = build(world, store)
        assert (after["is_new"], after["git_tag"], entries(store, after)) == (False, before["git_tag"], held)
        # A label of the same photo does change it: the comparison is not blind.
        label(world, [known[0].image_id], "scratch")
        changed = build(world, store)
        assert changed["is_new"]
        assert entries(store, changed) != held


def test_a_snapshot_that_reads_everything_anew_holds_no_known_answer_either(tmp_path: Path) -> None:
    with new_round_world(tmp_path, PARAMS) as world:
        label_all(world)
        world.open(1)
        world.send_opinions()
        known = [opinion for opinion in world.opinions() if opinion.kind is OpinionKind.KNOWN]
        assert known
        for opinion in known:
            world.tool.submit(opinion.task_id or 0, [WRONG])
        world.receive()
        store = FakeSnapshotStore()
        result = build(world, store)
        assert result["report"]["was_read_in_full"]
        boxes = [box for entry in entries(store, result) for box in entry.boxes]
        assert {box.damage_class for box in boxes} == {"dent"}
        assert len(boxes) == len(IMPORTED)
