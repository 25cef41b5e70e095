"""The model card on its way: from the evaluation stage's photos to the API's answer and the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from typer.testing import CliRunner

from api.main import create_app
from api.schemas.models import CardSchema
from damageloop.adapters.releases import FolderReleaseStore
from damageloop.cli.app import app
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.calibration import choose_none_calibration
from damageloop.domain.evaluation import evaluate_image
from damageloop.domain.geometry import Box
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Detection, DetectorAnswer
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.domain.thresholds import ThresholdRules, working_thresholds
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT
from tests.fakes.detector import FakeDetector, FixedChampion, make_manifest
from tests.fakes.photos import PARAMS_FILE, make_params
from tests.integration.api_world import ApiWorld
from workers.stages.card import make_card
from workers.stages.stage import image_path, of_split

BOX = Box(4.0, 4.0, 40.0, 40.0)
N_PHOTOS = 120


def prepared(number: int) -> SnapshotEntry:
    """Write a photo as `prepare` lays it out: every other one damaged, every tenth dark, a few clean ones cropped."""
    is_damaged = number % 2 == 0
    size_wh = (96, 72) if is_damaged or number > 30 else (70 + number, 66)
    split = (Split.TRAIN, Split.VAL, Split.TEST)[number // 2 % 3]
    verdict = Verdict.DAMAGED if is_damaged else Verdict.CLEAN
    boxes = (LabeledBox("dent", BOX),) if is_damaged else ()
    entry = SnapshotEntry(f"{number:064x}", "png", size_wh, f"car-{number}", split, verdict, boxes)
    pixels = np.random.default_rng(number).integers(60, 200, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    path = image_path(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels // 8 if number % 10 == 0 else pixels).save(path)
    return entry


def answer(entry: SnapshotEntry) -> DetectorAnswer:
    """Return what a good model says: it finds the damages, and on one clean photo in twelve a thing that is none."""
    number = int(entry.sha256, 16)
    is_seen = entry.verdict is Verdict.DAMAGED or number % 12 == 5
    score = 0.8 + number / 1000 if is_seen else 0.02 + number / 1000
    return DetectorAnswer((Detection("dent", score, BOX),), np.zeros(4, dtype=np.float32), score)


@pytest.fixture(name="card")
def card_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    entries = [prepared(number) for number in range(N_PHOTOS)]
    answers = {entry.sha256: answer(entry) for entry in entries}
    params = make_params(serving={"min_calibration_images": 15})
    val = of_split(entries, Split.VAL)
    calibration = choose_none_calibration(
        [answers[e.sha256].top_score for e in val], [bool(e.boxes) for e in val], [e.group for e in val]
    )
    records = {split: _records(of_split(entries, split), answers) for split in (Split.VAL, Split.TEST)}
    chosen = working_thresholds(records[Split.VAL], params.labels.classes, ThresholdRules(0.25))
    card = make_card(params, entries, answers, calibration, chosen, records)
    return dict(json.loads(json.dumps(card, allow_nan=False)))


def _records(entries: Sequence[SnapshotEntry], answers: dict[str, DetectorAnswer]) -> list[Any]:
    return [evaluate_image(e.sha256, e.group, e.boxes, answers[e.sha256].detections) for e in entries]


def test_the_evaluation_tells_false_alarms_thresholds_and_what_training_held(card: dict[str, Any]) -> None:
    none, training = card["none"], card["training"]
    assert none["in_use"] is True
    assert (none["val"]["images"], none["test"]["clean"]) == (40, 20)
    clean = none["answers"]["clean"]
    # Test photos 5, 17, 29, 41, ...: of the clean ones, every sixth is a false alarm, half of a third of them crops.
    alarms = [n for n in range(N_PHOTOS) if n % 12 == 5 and n // 2 % 3 == 2]
    assert clean["all"]["damaged"]["value"] == pytest.approx(len(alarms) / 20, abs=1e-4)
    assert clean["crop"]["images"] == len([n for n in range(1, 30, 2) if n // 2 % 3 == 2]) == 5
    assert clean["whole"]["images"] == 15
    assert none["answers"]["damaged"]["all"]["none"]["value"] == 0.0
    assert card["thresholds"]["dent"]["test"]["recall"]["value"] == 1.0
    assert training["boxes"]["dent"] == training["images"] - training["clean"] == 20
    n_dark = len([n for n in range(0, N_PHOTOS, 10) if n // 2 % 3 == 0])
    assert training["dark_share"] == pytest.approx(n_dark / 40, abs=1e-4)
    assert f"Only {n_dark} dark photos (mean brightness below 50)." in training["never_seen"]
    assert "No box of scratch." in training["never_seen"]


def test_the_api_shows_the_whole_card_and_says_null_where_nothing_was_measured(
    world: ApiWorld, card: dict[str, Any]
) -> None:
    def shown(**changed: Any) -> dict[str, Any]:
        champion = FixedChampion([FakeDetector(replace(make_manifest(), **changed))])
        services = replace(world.services, champion=champion)  # type: ignore[arg-type]
        response = TestClient(create_app(services), headers=world.key(Scope.PREDICT)).get("/v1/models/champion")
        assert response.status_code == 200, response.text
        return dict(response.json())

    whole = shown(card=card)
    assert whole["card"] == CardSchema.model_validate(card).model_dump(mode="json")
    # Nothing of what was measured is lost on the way.
    assert whole["card"] == card | {"precision": None}
    assert whole["none_calibration"]["feature"] == "top_score"
    assert whole["answering"]["says_none"] is True
    bare = shown(none_calibration=None)
    assert (bare["card"], bare["none_calibration"]) == (None, None)
    assert bare["answering"]["says_none"] is False
    assert "no damaged or no clean" in bare["answering"]["why_not"]


@pytest.fixture(name="home")
def home_(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    units: UnitOfWorkFactory,
    card: dict[str, Any],
) -> Path:
    """An installation with a base release without a card, and a champion with one."""
    folder = tmp_path / "home"
    (folder / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, folder / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(folder))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    (tmp_path / "model.bin").write_bytes(b"weights")
    releases = FolderReleaseStore(folder / "releases")
    for version, part in ((1, {}), (2, card)):
        manifest = replace(make_manifest(version), card=part)
        releases.publish(version, {"model.bin": tmp_path / "model.bin"}, manifest)
        with units() as work:
            work.models.allot(f"key-{version}", None, MOMENT)
            work.models.record(version, "run", str(version), {})
            work.models.promote(version, version - 1 or None, None, PromotionReason.PERSON, MOMENT)
            work.commit()
    return folder


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("home")
def test_the_command_tells_the_champions_card_in_words_and_draws_its_reliability(tmp_path: Path) -> None:
    drawing = tmp_path / "reliability.svg"
    told = run("models", "card", "--plot", str(drawing))
    assert "Model 2: scratch, dent" in told
    assert "Clean test photos" in told
    assert "No box of scratch." in told
    assert (
        drawing.read_text().count("<circle")
        == len(json.loads(run("models", "card", "--json"))["card"]["none"]["reliability"])
        == 2
    )


@pytest.mark.usefixtures("home")
def test_of_a_release_without_an_evaluation_the_command_says_that_nothing_was_measured(tmp_path: Path) -> None:
    assert "not measured" in run("models", "card", "1")
    assert json.loads(run("models", "card", "1", "--json"))["card"] is None
    refused = CliRunner().invoke(app, ["models", "card", "1", "--plot", str(tmp_path / "none.svg")])
    assert refused.exit_code != 0
    assert not (tmp_path / "none.svg").exists()
