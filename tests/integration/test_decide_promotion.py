"""Decisions as they are remembered: counted against their test set, made on images that are still there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from damageloop.cli.app import app
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, Origin
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.promotion import DecisionKind, PromotionReason
from damageloop.domain.snapshot import Snapshot, SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import SnapshotStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.score_pool import Progress, ScorePool
from damageloop.services.models.decide_promotion import DecidePromotion
from tests.factories import MOMENT
from tests.fakes.clock import FakeClock
from tests.fakes.database import sqlite_units
from tests.fakes.detector import make_manifest
from tests.fakes.job_context import NoContext
from tests.fakes.photos import PARAMS_FILE, make_params, make_stored
from tests.fakes.training import FakeReleaseStore

N_IMAGES = 12
PARAMS = make_params(
    gate={"min_test_images": 5, "min_test_groups": 4, "min_test_boxes_per_class": 3, "bootstrap_samples": 100}
)
DENT = Box(10, 10, 50, 50)


@dataclass
class FakeScorer:
    """Finds every dent with any version but the champion, and nothing on images in `unscorable`."""

    units: UnitOfWorkFactory
    unscorable: set[int] = field(default_factory=set)
    damage_class: str = "dent"

    def score(self, version: int, images: Sequence[Image], progress: Progress) -> tuple[int, int]:
        seen = [i for i in images if i.id not in self.unscorable]
        found = (Detection(self.damage_class, 0.9, DENT),)
        with self.units() as work:
            predictions = [Prediction(i.id, version, found if i.id % 2 and version > 1 else (), 0.9) for i in seen]
            work.predictions.add_many(predictions, MOMENT)
            work.commit()
        return len(seen), len(images) - len(seen)


@dataclass
class WrittenSnapshots:
    """The part of `SnapshotStore` that a decision uses."""

    by_tag: dict[str, tuple[SnapshotEntry, ...]] = field(default_factory=dict)

    def read(self, git_tag: str) -> tuple[SnapshotEntry, ...]:
        return self.by_tag[git_tag]


@dataclass
class Court:
    """A champion, challengers from 2 on, and a snapshot of twelve test images of which odd ones have a dent."""

    units: UnitOfWorkFactory
    snapshots: WrittenSnapshots
    releases: FakeReleaseStore
    scorer: FakeScorer
    params: Params = PARAMS

    def write(self, entries: Sequence[SnapshotEntry]) -> int:
        with self.units() as work:
            number = work.snapshots.next_id()
            tag = f"snapshot-{number:04d}"
            self.snapshots.by_tag[tag] = tuple(entries)
            work.snapshots.add(Snapshot(number, tag, "", "", None, {}, "", "", "", MOMENT), 0)
            work.commit()
        return number

    def train(self, snapshot_id: int | None) -> int:
        with self.units() as work:
            version = work.models.allot(f"key-{len(self.releases.manifests)}", snapshot_id, MOMENT)
            work.models.record(version, "run", str(version), {})
            work.commit()
        manifest = make_manifest(version)
        self.releases.manifests[version] = manifest
        manifest.thresholds.update({"scratch": 0.5, "dent": 0.5})
        return version

    def decide(self, version: int) -> dict[str, Any]:
        decide = DecidePromotion(
            self.units,
            cast("SnapshotStore", self.snapshots),
            self.releases,
            cast("ScorePool", self.scorer),
            FakeClock(),
            self.params,
        )
        return decide({"model_version": version}, NoContext())


def entries(n: int = N_IMAGES) -> list[SnapshotEntry]:
    return [
        SnapshotEntry(
            make_stored(number).sha256,
            "jpg",
            (100, 80),
            f"car{number}",
            Split.TEST,
            Verdict.DAMAGED if number % 2 else Verdict.CLEAN,
            (LabeledBox("dent", DENT),) if number % 2 else (),
        )
        for number in range(1, n + 1)
    ]


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    with sqlite_units(tmp_path, FakeClock()) as units:
        with units() as work:
            for number in range(1, N_IMAGES + 1):
                work.images.add(make_stored(number), f"{number}.jpg", f"car{number}", Split.TEST, Origin.IMPORT)
            work.commit()
        court = Court(units, WrittenSnapshots(), FakeReleaseStore(), FakeScorer(units))
        champion = court.train(None)
        with units() as work:
            work.models.promote(champion, None, None, PromotionReason.FIRST_MODEL, MOMENT)
            work.commit()
        yield court


def test_a_challenger_is_run_on_val_photos_too_whatever_is_decided(court: Court) -> None:
    with court.units() as work:
        images = [
            work.images.add(make_stored(number), f"{number}.jpg", f"car{number}", split, Origin.IMPORT)
            for number, split in ((50, Split.VAL), (51, Split.TRAIN))
        ]
        work.commit()
    held = [replace(entries(1)[0], sha256=image.sha256, split=image.split) for image in images]
    version = court.train(court.write([*entries(), *held]))
    court.decide(version)
    with court.units(read_only=True) as work:
        assert set(work.predictions.of_version(version, [image.id for image in images])) == {images[0].id}


def test_comparisons_against_one_test_set_are_counted_and_another_set_begins_anew(court: Court) -> None:
    snapshot = court.write(entries())
    said = [court.decide(court.train(snapshot)) for _ in range(2)]
    other = court.write(entries(N_IMAGES - 1))
    said.append(court.decide(court.train(other)))
    with court.units(read_only=True) as work:
        decisions = work.models.decisions()
        assert [work.models.comparisons(d.test_hash or "") for d in decisions] == [2, 2, 1]
        assert work.models.comparisons("none") == 0
    assert [decision.comparison for decision in decisions] == [1, 2, 1]
    assert said[1]["reasons"][-1] == "This is comparison 2 against this test set."
    assert decisions[0].test_hash == decisions[1].test_hash == decisions[0].evidence["test_hash"]
    assert {decision.decision for decision in decisions} == {DecisionKind.PROMOTE}


def test_a_decision_asked_for_again_is_neither_made_nor_counted_again(court: Court) -> None:
    version = court.train(court.write(entries()))
    first, again = court.decide(version), court.decide(version)
    assert first["decision_id"] == again["decision_id"]
    with court.units(read_only=True) as work:
        (decision,) = work.models.decisions()
        assert work.models.comparisons(decision.test_hash or "") == 1


def test_of_two_workers_on_one_decision_the_slower_one_takes_what_the_other_decided(court: Court) -> None:
    version = court.train(court.write(entries()))
    score, faster = court.scorer.score, []

    def score_slowly(*args: Any) -> Any:
        court.scorer.score = score  # type: ignore[method-assign]
        faster.append(court.decide(version)["decision_id"])
        return score(*args)

    court.scorer.score = score_slowly  # type: ignore[method-assign]
    assert [court.decide(version)["decision_id"]] == faster
    with court.units(read_only=True) as work:
        assert len(work.models.decisions()) == 1


def test_images_that_are_gone_are_left_out_for_both_models_and_told(court: Court) -> None:
    version = court.train(court.write(entries()))
    with court.units() as work:
        work.images.exclude_leaks([1, 2])
        work.commit()
    reasons = court.decide(version)["reasons"]
    with court.units(read_only=True) as work:
        evidence = work.models.decisions()[0].evidence
    assert (evidence["counts"]["images"], evidence["counts"]["boxes"]["dent"]) == (N_IMAGES - 2, 5)
    assert evidence["counts"]["left_out"] == 2
    assert reasons[-2].startswith("2 test images were forgotten or excluded since the snapshot")


def test_an_image_that_is_there_but_was_not_scored_stops_the_comparison(court: Court) -> None:
    version = court.train(court.write(entries()))
    court.scorer.unscorable.add(3)
    with pytest.raises(ConflictError, match="has no prediction for test image"):
        court.decide(version)


def test_what_models_and_snapshots_called_a_class_before_is_judged_under_its_present_name(court: Court) -> None:
    version = court.train(court.write(entries()))
    court.params = make_params(
        labels={"classes": ["scratch", "dimple"], "renamed": {"dent": "dimple"}}, gate=PARAMS.gate.model_dump()
    )
    assert court.decide(version)["decision"] == "promote"
    with court.units(read_only=True) as work:
        evidence = work.models.decisions()[0].evidence
    assert (evidence["judged_classes"], evidence["new_classes"], evidence["lost_classes"]) == (["dimple"], [], [])


def test_models_are_listed_with_the_number_of_their_comparison(
    court: Court, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = court.write(entries())
    for _ in range(2):
        court.decide(court.train(snapshot))
    (tmp_path / "workspace").mkdir()
    shutil.copy(PARAMS_FILE, tmp_path / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(tmp_path))
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).output)
    assert [model["comparison"] for model in listed] == [None, 1, 2]
    assert listed[1]["test_hash"] == listed[2]["test_hash"]
