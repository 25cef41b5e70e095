"""A platform's database beside an annotation tool in memory, with what people do in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from damageloop.domain.annotation import SOURCE, Annotation, LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.image import Origin
from damageloop.domain.round import ItemState, RoundItem, RoundKind, RoundState, Share
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.ports import ExternalReview, TaskDraft
from damageloop.services.reviews.note_review_event import NoteReviewEvent
from damageloop.services.reviews.receive_reviews import ReceiveReviews
from damageloop.services.snapshots.snapshot_stops import snapshot_stop
from tests.fakes.annotation_tool import FakeAnnotationTool
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.photos import SIZE_WH, make_params, make_stored

PARAMS = make_params()
DENT, SCRATCH = LabeledBox("dent", Box(1, 1, 50, 50)), LabeledBox("scratch", Box(2, 2, 9, 60))
N_IMAGES = 40


@dataclass
class World:
    units: SqliteUnits
    tool: FakeAnnotationTool
    clock: FakeClock
    receive: ReceiveReviews
    tasks: dict[int, int]

    def annotations(self) -> dict[str, Annotation]:
        with self.units(read_only=True) as work:
            return {a.external_id: a for a in work.annotations.all(SOURCE)}

    def delete(self, review_id: str) -> None:
        """Delete an annotation in the tool, whose webhook arrives."""
        self.tool.delete(review_id)
        NoteReviewEvent(self.units, self.clock, lambda: None)({"action": "ANNOTATIONS_DELETED"})

    def note_tasks_read(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Return a list that names every task that is read whole from now on."""
        asked: list[int] = []
        read = self.tool.reviews_of

        def note(tasks: Sequence[int]) -> list[ExternalReview]:
            asked.extend(tasks)
            return read(tasks)

        monkeypatch.setattr(self.tool, "reviews_of", note)
        return asked

    def review_all(self) -> list[str]:
        ids = [self.tool.submit(task, [DENT]) for task in self.tasks.values()]
        self.receive()
        return ids

    def open_round(self, state: RoundState = RoundState.OPEN, is_sent: bool = True) -> None:
        with self.units() as work:
            items = [RoundItem(i, Share.CHOSEN, n, None, "a reason") for n, i in enumerate(self.tasks)]
            work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, self.clock.now(), items)
            work.rounds.set_state(1, state, self.clock.now())
            work.commit()
        if is_sent:
            self.send()

    def send(self) -> None:
        with self.units() as work:
            work.rounds.set_tasks(1, self.tasks)
            work.commit()

    def reviewed(self) -> set[int]:
        with self.units(read_only=True) as work:
            return {i.image_id for i in work.rounds.items(1) if i.state is ItemState.REVIEWED}

    def stop(self) -> str | None:
        with self.units(read_only=True) as work:
            return snapshot_stop(work, PARAMS)

    def take_snapshot(self) -> None:
        with self.units() as work:
            images = len(work.annotations.external_ids(SOURCE))
            counts = {"train": {"images": images}, "val": {"images": 0}, "test": {"images": 0}}
            number = work.snapshots.next_id()
            row = Snapshot(number, f"snapshot-{number:04d}", "c", "h", None, counts, "r", "l", "p", self.clock.now())
            work.snapshots.add(row, work.annotations.sequence())
            work.commit()


@contextmanager
def review_world(tmp_path: Path) -> Iterator[World]:
    """Yield a world of `N_IMAGES` imported images, image `n` with the number n."""
    clock, tool = FakeClock(), FakeAnnotationTool()
    with sqlite_units(tmp_path, clock) as units:
        with units() as work:
            images = [
                work.images.add(make_stored(n), f"{n}.jpg", f"car{n}", Split.TRAIN, Origin.IMPORT)
                for n in range(1, N_IMAGES + 1)
            ]
            work.commit()
        tasks = tool.import_tasks([TaskDraft(i.id, i.store_key, SIZE_WH) for i in images])
        yield World(units, tool, clock, ReceiveReviews(units, tool, clock), tasks)
