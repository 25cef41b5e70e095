"""Which unlabeled images a snapshot names for a semi-supervised training, on a real database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from damageloop.domain.annotation import Annotation, Verdict
from damageloop.domain.image import Image
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import SnapshotDraft
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from tests.fakes.training import FakeSnapshotStore
from tests.integration.loop_world import PARAMS, LoopWorld, new_world, truth_of


@dataclass
class RecordingStore(FakeSnapshotStore):
    """Remembers the whole draft."""

    drafts: list[SnapshotDraft] = field(default_factory=list)

    def write(self, draft: SnapshotDraft) -> tuple[str, str]:
        self.drafts.append(draft)
        return super().write(draft)


class Silent:
    """A `JobContext` that nobody listens to."""

    def progress(self, share: float, message: str) -> None: ...

    def is_cancelled(self) -> bool:
        return False

    def is_taken_over(self) -> bool:
        return False


def annotate_all_but(world: LoopWorld, n_train: int) -> list[Image]:
    """Annotate every image but the last `n_train` of train and the last one of val and of test; return those."""
    with world.units() as work:
        images = work.images.active()
        left = [image for image in images if image.split is Split.TRAIN][-n_train:]
        left += [[image for image in images if image.split is split][-1] for split in (Split.VAL, Split.TEST)]
        for image in images:
            if image not in left:
                work.annotations.upsert(annotation(world, image))
        work.commit()
    return left


def annotation(world: LoopWorld, image: Image) -> Annotation:
    boxes = truth_of(image.id)
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    now = world.outside.clock.now()
    return Annotation(image.id, verdict, boxes, "import", str(image.id), "ann", now)


def draft_of(world: LoopWorld, semi_supervised: dict[str, Any]) -> SnapshotDraft:
    content = PARAMS.model_dump(mode="json")
    content["training"]["semi_supervised"] |= semi_supervised
    store = RecordingStore()
    provenance = Provenance("code-1", "lock-1", "base.pt", "cd" * 32)
    params = Params.model_validate(content)
    BuildSnapshot(world.units, store, lambda: provenance, world.outside.clock, params)({}, Silent())
    return store.drafts[0]


def test_a_snapshot_names_unlabeled_images_of_train_alone_and_only_when_asked(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        left = annotate_all_but(world, n_train=7)
        draft = draft_of(world, {"enabled": True})
    in_train = {image.sha256 for image in left if image.split is Split.TRAIN}
    assert {entry.sha256 for entry in draft.unlabeled} == in_train
    assert len(in_train) == 7
    assert not in_train & {entry.sha256 for entry in draft.shards.entries()}


def test_no_more_are_named_than_asked_for_and_none_when_switched_off(tmp_path: Path) -> None:
    for name, semi, n_named in (("capped", {"enabled": True, "max_images": 3}, 3), ("off", {"enabled": False}, 0)):
        (tmp_path / name).mkdir()
        with new_world(tmp_path / name) as world:
            annotate_all_but(world, n_train=7)
            assert len(draft_of(world, semi).unlabeled) == n_named
