"""Random histories of a platform: whatever happens in whatever order, no image ever changes its split.

On each snapshot of such a history, what was read from the parent and the changes is what reading everything gives.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, ImageStatus, Origin
from damageloop.domain.split import Split, split_of_group
from damageloop.errors import ConflictError
from damageloop.services.images.join_duplicates import join_groups
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from damageloop.services.snapshots.snapshot_content import full_content, labeled_entries
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params, make_stored
from tests.fakes.training import FakeSnapshotStore

PARAMS = make_params(retrain={"max_deleted_share": 1.0})
SHARDS = 3
N_VEHICLES = 9


class History(RuleBasedStateMachine):
    """A database with real services; `splits` remembers what each image was first given."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.clock = FakeClock()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.units: SqliteUnits = self.stack.enter_context(sqlite_units(folder, self.clock))
        self.store = FakeSnapshotStore()
        self.splits: dict[int, Split] = {}
        self.left: set[int] = set()
        self.seen: dict[str, Split] = {}

    def teardown(self) -> None:
        self.stack.close()

    @initialize()
    def begin(self) -> None:
        """Have a damaged and a clean image in each split, so that snapshots can be taken from the start."""
        for vehicle in range(N_VEHICLES):
            for number in (0, 1):
                self._ingest(vehicle)
                self._annotate(len(self.splits), number)
        self.snapshot(is_killed=False)

    @rule(vehicle=st.integers(0, N_VEHICLES + 2), n_boxes=st.integers(-1, 2))
    def ingest(self, vehicle: int, n_boxes: int) -> None:
        """Import a photo of a known or a new vehicle, with or without what is on it."""
        self._ingest(vehicle)
        if n_boxes >= 0:
            self._annotate(len(self.splits), n_boxes)

    @rule(place=st.integers(0, 99), n_boxes=st.integers(0, 2), person=st.sampled_from(["ann", "bob"]))
    def annotate(self, place: int, n_boxes: int, person: str) -> None:
        self._annotate(1 + place % len(self.splits), n_boxes, person)

    @rule(place=st.integers(0, 99), person=st.sampled_from(["ann", "bob"]))
    def delete(self, place: int, person: str) -> None:
        with self.units() as work:
            work.annotations.tombstone("label-studio", [f"{1 + place % len(self.splits)}-{person}"])
            work.commit()

    @rule(first=st.integers(0, 99), second=st.integers(0, 99))
    def join(self, first: int, second: int) -> None:
        """Find out that two photos are near-duplicates."""
        with self.units() as work:
            images = work.images.get_many([1 + first % len(self.splits), 1 + second % len(self.splits)])
            if len({image.group for image in images}) == 2:
                self.left |= set(join_groups(work, {image.group for image in images}).excluded)
            work.commit()

    @rule(is_killed=st.sampled_from([False, False, False, True]))
    def snapshot(self, is_killed: bool) -> None:
        """Take a snapshot; a worker may die between its tag and its row."""
        n_before = len(self.store.tags())
        result = self._built()
        if result is None:
            # Joins and deletions have emptied a split.
            assert len(self.store.tags()) == n_before
            return
        if is_killed and result["is_new"] and len(self.store.tags()) > n_before:
            self._forget_row(result["snapshot_id"])
        for entry in self.store.read(result["git_tag"]):
            assert self.seen.setdefault(entry.sha256, entry.split) is entry.split
        self._compare(result["git_tag"])

    @invariant()
    def no_image_changes_its_split(self) -> None:
        images = self._images()
        assert {image.id: image.split for image in images} == self.splits
        left = {image.id for image in images if image.status is ImageStatus.EXCLUDED_LEAK}
        assert left == self.left

    @invariant()
    def no_group_has_active_images_in_two_splits(self) -> None:
        active = [image for image in self._images() if image.status is ImageStatus.ACTIVE]
        assert len({image.group for image in active}) == len({(image.group, image.split) for image in active})

    def _compare(self, tag: str) -> None:
        """Hold the snapshot against one that is made anew."""
        with self.units(read_only=True) as work:
            anew = full_content(labeled_entries(work, PARAMS))
            row = next((s for s in work.snapshots.all() if s.git_tag == tag), None)
            hashes = work.snapshots.shards(row.id) if row else None
        assert self.store.read_shards(tag).hashes() == anew.hashes
        assert not {e.sha256 for e in anew.shards.entries()} & {f"{i:064x}" for i in self.left}
        if row is not None:
            assert (row.content_hash, row.counts, hashes) == (anew.content_hash, anew.counts, anew.hashes)

    def _built(self) -> dict[str, Any] | None:
        """Take a snapshot; None where the data checks refuse it."""
        provenance = Provenance("code-1", "lock-1", "base.pt", "cd" * 32)
        build = BuildSnapshot(self.units, self.store, lambda: provenance, self.clock, PARAMS)
        with suppress(ConflictError):
            return build({}, NoContext())
        return None

    def _forget_row(self, snapshot_id: int) -> None:
        with self.units.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM snapshots WHERE id = ?", (snapshot_id,))

    def _ingest(self, vehicle: int) -> None:
        number = len(self.splits) + 1
        name = f"car{vehicle}"
        with self.units() as work:
            group = work.images.group_of_vehicle(name)
            # As an import does: a known vehicle's group says where the photo goes.
            if group:
                found = join_groups(work, {group})
                self.left |= set(found.excluded)
                split, group = found.split, found.group
            else:
                split = list(Split)[vehicle % 3]
                assert split_of_group(name, 0, PARAMS.split.shares) in Split
            image = work.images.add(make_stored(number), f"{number}.jpg", name, split, Origin.IMPORT, group)
            work.commit()
        self.splits[image.id] = split

    def _annotate(self, image_id: int, n_boxes: int, person: str = "ann") -> None:
        self.clock.advance(seconds=1)
        boxes = tuple(LabeledBox("dent", Box(10.0 * n, 10.0, 10.0 * n + 9, 30.0)) for n in range(n_boxes))
        verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
        external = f"{image_id}-{person}"
        said = Annotation(image_id, verdict, boxes, "label-studio", external, person, self.clock.now())
        with self.units() as work:
            work.annotations.upsert(said)
            work.commit()

    def _images(self) -> list[Image]:
        with self.units(read_only=True) as work:
            return work.images.get_many(range(1, len(self.splits) + 1))


History.TestCase.settings = settings(
    max_examples=6, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistory: Any = History.TestCase
