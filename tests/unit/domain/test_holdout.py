"""What names a test set, and which of its photos are of which kind."""

from __future__ import annotations

from dataclasses import replace

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.gate_rules import Slice
from damageloop.domain.geometry import Box
from damageloop.domain.holdout import slices_of, truth_hash
from damageloop.domain.image import ImageQuality, Origin
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split

DENTS = (LabeledBox("dent", Box(0, 0, 10, 10)), LabeledBox("dent", Box(20, 0, 30, 10)))
DAMAGED = SnapshotEntry("a" * 64, "jpg", (100, 80), "car1", Split.TEST, Verdict.DAMAGED, DENTS)
CLEAN = SnapshotEntry("b" * 64, "jpg", (100, 80), "car2", Split.TEST, Verdict.CLEAN, ())


def test_the_hash_of_a_test_set_depends_on_its_images_and_what_humans_said_alone() -> None:
    whole = truth_hash([DAMAGED, CLEAN])
    same = [[CLEAN, DAMAGED], [replace(DAMAGED, boxes=DENTS[::-1]), CLEAN], [replace(DAMAGED, vehicle="x"), CLEAN]]
    other = [
        [DAMAGED],
        [DAMAGED, replace(CLEAN, sha256="c" * 64)],
        [replace(DAMAGED, boxes=DENTS[:1]), CLEAN],
        [replace(DAMAGED, boxes=(DENTS[0], replace(DENTS[1], damage_class="scratch"))), CLEAN],
        [replace(DAMAGED, verdict=Verdict.CLEAN, boxes=()), CLEAN],
    ]
    assert {truth_hash(entries) for entries in same} == {whole}
    assert len({whole, *(truth_hash(entries) for entries in other)}) == 1 + len(other)


def test_each_photo_is_dark_or_bright_and_imported_or_from_production() -> None:
    photos = {
        "night": (ImageQuality(49.9, 40.0, 30.0), Origin.PRODUCTION),
        "dusk": (ImageQuality(50.0, 40.0, 30.0), Origin.IMPORT),
        "day": (ImageQuality(150.0, 40.0, 30.0), Origin.PRODUCTION),
    }
    assert slices_of(photos, dark_brightness=50.0) == {
        Slice.DARK: {"night"},
        Slice.BRIGHT: {"dusk", "day"},
        Slice.IMPORT: {"dusk"},
        Slice.PRODUCTION: {"night", "day"},
    }
