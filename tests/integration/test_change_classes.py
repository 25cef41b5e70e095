"""Changing classes on a real database, with an annotation tool in memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from damageloop.adapters.params_file import changed_text, replace_text
from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.class_change import ChangeKind, ClassChange
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Prediction
from damageloop.errors import UnavailableError
from damageloop.params import Params, load_params, parse_params
from damageloop.services.integrity.invariants.reviews import agree_with_tool
from damageloop.services.reviews.change_classes import AppliedClasses, ChangeClasses, is_applied
from damageloop.services.snapshots.snapshot_content import labeled_entries
from tests.factories import make_detection
from tests.fakes.photos import PARAMS_FILE
from tests.fakes.training import FakeReleaseStore
from tests.integration.review_world import DENT, SCRATCH, World, review_world

RENAME = ClassChange(ChangeKind.RENAME, "dent", "ding")
REMOVE = ClassChange(ChangeKind.REMOVE, "dent")
ADD = ClassChange(ChangeKind.ADD, "crack")


@dataclass
class Platform:
    """A world with a params.yaml of its own, and the labels that its annotation tool offers."""

    world: World
    path: Path
    offered: list[tuple[str, ...]] = field(default_factory=list)
    is_tool_down: bool = False

    @property
    def params(self) -> Params:
        return load_params(self.path)

    def change(self, change: ClassChange) -> AppliedClasses:
        return self.service()(change, "a person")

    def service(self) -> ChangeClasses:
        return ChangeClasses(
            self.world.units, FakeReleaseStore(), self.world.clock, self.params, self._write, self._offer
        )

    def look(self) -> None:
        """Read the tool as a worker does that was made just now."""
        self.world.tool.former = self.params.labels.former
        self.world.receive()

    def said(self) -> dict[int, Annotation]:
        with self.world.units(read_only=True) as work:
            return {a.image_id: a for a in work.annotations.live()}

    def violations(self) -> list[str]:
        self.world.tool.former = self.params.labels.former
        with self.world.units(read_only=True) as work:
            return list(agree_with_tool(work, self.world.tool))

    def _write(self, values: Mapping[str, Any]) -> Params:
        text = changed_text(self.path, values)
        params = parse_params(yaml.safe_load(text))
        replace_text(self.path, text)
        return params

    def _offer(self, params: Params) -> bool:
        if self.is_tool_down:
            raise UnavailableError("The tool is down.")
        self.offered.append(params.labels.classes)
        return True


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    path = Path(shutil.copy(PARAMS_FILE, tmp_path / "params.yaml"))
    with review_world(tmp_path) as world:
        world.tool.submit(world.tasks[1], [DENT])
        world.tool.submit(world.tasks[2], [DENT, SCRATCH])
        world.tool.submit(world.tasks[3], [SCRATCH])
        world.receive()
        yield Platform(world, path)


def test_a_new_class_is_offered_and_leaves_annotations_as_they_are(platform: Platform) -> None:
    before = platform.said()
    done = platform.change(ADD)
    assert (done.images, platform.params.labels.classes) == (0, ("scratch", "dent", "crack"))
    assert platform.offered == [("scratch", "dent", "crack")]
    assert platform.said() == before
    assert platform.violations() == []


def test_a_preview_counts_and_changes_nothing(platform: Platform) -> None:
    text = platform.path.read_text()
    found = platform.service().preview(REMOVE)
    assert (found.annotations, found.boxes, found.left_without) == (2, 2, 1)
    assert found.images_by_split == {"train": 2}
    assert platform.path.read_text() == text
    assert platform.offered == []


def test_renamed_boxes_count_as_changed_and_agree_with_the_tool(platform: Platform) -> None:
    with platform.world.units(read_only=True) as work:
        before = work.annotations.sequence()
    assert platform.change(RENAME).images == 2
    assert [b.damage_class for b in platform.said()[2].boxes] == ["ding", "scratch"]
    with platform.world.units(read_only=True) as work:
        assert work.annotations.changed_in_train(before) == 2
    platform.look()
    assert platform.violations() == []
    with platform.world.units(read_only=True) as work:
        assert work.annotations.changed_in_train(before) == 2


def test_a_renamed_class_gets_its_name_back_with_the_same_content(platform: Platform) -> None:
    before = {i: a.content_hash for i, a in platform.said().items()}
    platform.change(RENAME)
    platform.change(ClassChange(ChangeKind.RENAME, "ding", "dent"))
    assert {i: a.content_hash for i, a in platform.said().items()} == before


def test_an_image_of_a_removed_class_alone_leaves_the_snapshot_and_is_not_clean(platform: Platform) -> None:
    platform.change(REMOVE)
    said = platform.said()
    assert [said[i].verdict for i in (1, 2, 3)] == [Verdict.INCOMPLETE, Verdict.DAMAGED, Verdict.DAMAGED]
    with platform.world.units(read_only=True) as work:
        entries = labeled_entries(work, platform.params)
    assert sorted(e.sha256 for e in entries) == [f"{2:064x}", f"{3:064x}"]
    assert {b.damage_class for e in entries for b in e.boxes} == {"scratch"}
    assert platform.violations() == []


def test_a_class_that_comes_back_has_its_boxes_again(platform: Platform) -> None:
    imported = Annotation(4, Verdict.DAMAGED, (DENT,), "import", "4", "import", platform.world.clock.now())
    with platform.world.units() as work:
        work.annotations.upsert(imported)
        work.commit()
    before = platform.said()
    platform.change(REMOVE)
    platform.world.tool.change("2", [DENT, SCRATCH, LabeledBox("dent", Box(3, 3, 8, 8))])
    platform.look()
    platform.change(ClassChange(ChangeKind.ADD, "dent"))
    platform.look()
    after = platform.said()
    assert [after[i].content_hash for i in (1, 3, 4)] == [before[i].content_hash for i in (1, 3, 4)]
    assert [b.damage_class for b in after[2].boxes] == ["dent", "scratch", "dent"]
    assert platform.violations() == []


def test_predictions_follow_and_box_features_keep_their_order(platform: Platform) -> None:
    boxes = tuple(make_detection(c, name) for c, name in ((0.9, "dent"), (0.8, "scratch")))
    with platform.world.units() as work:
        version = work.models.allot("a", None, platform.world.clock.now())
        work.predictions.add_many([Prediction(1, version, boxes, 0.9, boxes[:1])], platform.world.clock.now())
        work.commit()
    assert platform.change(RENAME).predictions == 1
    assert platform.change(RENAME).predictions == 0
    with platform.world.units(read_only=True) as work:
        found = work.predictions.of_version(version)[1]
    assert [d.damage_class for d in found.detections] == ["ding", "scratch"]
    assert found.mirrored == (replace(boxes[0], damage_class="ding"),)


def test_what_a_crash_left_behind_is_told_and_finished_by_the_same_command(platform: Platform) -> None:
    platform.is_tool_down = True
    with pytest.raises(UnavailableError):
        platform.change(RENAME)
    platform._write({"labels.classes": ["scratch", "bump"], "labels.renamed": {"dent": "bump", "ding": "bump"}})
    with platform.world.units(read_only=True) as work:
        assert not is_applied(work, platform.params)
    platform.is_tool_down = False
    done = platform.change(ClassChange(ChangeKind.RENAME, "ding", "bump"))
    assert (done.images, platform.offered) == (2, [("scratch", "bump")])
    with platform.world.units(read_only=True) as work:
        assert is_applied(work, platform.params)
        assert [entry.action for entry in work.audit.all()] == ["labels.rename", "labels.rename"]


def test_other_parameters_that_name_the_class_follow(platform: Platform) -> None:
    values = {"training.semi_supervised.class_confidence": {"dent": 0.7, "scratch": 0.5}}
    replace_text(platform.path, changed_text(platform.path, values))
    named = ("training.semi_supervised.class_confidence", "valuation.costs")
    assert platform.service().preview(RENAME).parameters == named
    costs = platform.params.valuation.costs["dent"]
    platform.change(RENAME)
    assert platform.params.training.semi_supervised.class_confidence == {"ding": 0.7, "scratch": 0.5}
    assert platform.params.valuation.costs["ding"] == costs
    platform.change(ClassChange(ChangeKind.REMOVE, "ding"))
    assert platform.params.training.semi_supervised.class_confidence == {"scratch": 0.5}
    assert set(platform.params.valuation.costs) == {"scratch"}
    assert "# What changes a result." in platform.path.read_text()
