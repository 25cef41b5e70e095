"""`damageloop export`, `queue`, `report` and `jobs show`: what leaves the platform is what counts in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from damageloop.adapters.coco import read_coco
from damageloop.adapters.database.migrate import upgrade
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.cli.app import app
from damageloop.cli.completion import round_numbers, subset_names
from damageloop.domain.annotation import Annotation, ImportedTruth, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, Origin
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import RoundKind, RoundState, Share
from damageloop.domain.second_opinion import OpinionKind
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.rounds.renew_pre_annotations import RENEWED
from tests.factories import MOMENT, make_detection, make_item
from tests.fakes.photos import PARAMS_FILE
from tests.integration.api_world import make_photo

DENT = LabeledBox("dent", Box(10.0, 10.0, 60.0, 60.0), severity="moderate")
SCRATCH = LabeledBox("scratch", Box(5.0, 6.0, 105.0, 46.0))


@pytest.fixture(name="home", autouse=True)
def home_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, units: UnitOfWorkFactory) -> Path:
    """Seven photos: 1 to 3 damaged, clean and damaged, 4 unusable, 5 to 7 without annotation in a round."""
    home = tmp_path / "home"
    (home / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, home / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(home))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    store = FsspecImageStore(home / "images", ImageLimits(10**7, 10**7, 16))
    splits = (Split.TRAIN, Split.TRAIN, Split.VAL, Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.VAL)
    with units() as work:
        images = [_add(work.images, store, number, split) for number, split in enumerate(splits, start=1)]
        said = ((Verdict.DAMAGED, (DENT, SCRATCH)), (Verdict.CLEAN, ()), (Verdict.DAMAGED, (SCRATCH,)))
        for image, (verdict, boxes) in zip(images, (*said, (Verdict.UNUSABLE, ())), strict=False):
            work.annotations.upsert(Annotation(image.id, verdict, boxes, "import", str(image.id), "ann", MOMENT))
        items = [make_item(5), make_item(6, 1, Share.EXPLORED), make_item(7, 2, Share.AUDITED)]
        work.rounds.add(1, RoundKind.QUERY, "random", 3, 1, MOMENT, items)
        work.rounds.set_tasks(1, {5: 15, 6: 16, 7: 17})
        work.rounds.set_state(1, RoundState.OPEN, MOMENT)
        work.facts.set(RENEWED, 3)
        work.commit()
    return home


def _add(images: Any, store: FsspecImageStore, number: int, split: Split) -> Image:
    stored = store.put(make_photo((320 + number, 240)), "x.jpg")
    added: Image = images.add(stored, f"{number}.jpg", f"car{number}", split, Origin.IMPORT)
    return added


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def test_an_export_is_what_counts_and_our_own_import_reads_it_back(tmp_path: Path, units: UnitOfWorkFactory) -> None:
    told = run_json("export", str(tmp_path / "set"))
    assert told["counts"]["train"] == {"images": 2, "clean": 1, "groups": 2, "boxes": {"dent": 1, "scratch": 1}}
    assert (told["counts"]["val"]["images"], told["images"], told["snapshot"]) == (1, 3, None)
    with units(read_only=True) as work:
        names = {image.id: f"{image.sha256}.jpg" for image in work.images.get_many([1, 2, 3])}
    read = read_coco(tmp_path / "set" / "annotations" / "train.json")
    assert read.truths == {names[1]: ImportedTruth((DENT, SCRATCH)), names[2]: ImportedTruth(())}
    assert read.vehicles == {names[1]: "car1", names[2]: "car2"}


def test_an_export_goes_into_another_platform_and_comes_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("export", str(tmp_path / "set"), "--split", "train")
    other = tmp_path / "other"
    (other / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, other / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(other))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", f"sqlite:///{other / 'other.sqlite'}")
    upgrade(f"sqlite:///{other / 'other.sqlite'}")
    photos, labels = tmp_path / "set" / "images" / "train", tmp_path / "set" / "annotations" / "train.json"
    assert run_json("import", str(photos), "--annotations", str(labels))["accepted"] == 2
    run("export", str(tmp_path / "again"))
    again = [read_coco(path) for path in (tmp_path / "again" / "annotations").iterdir()]
    first = read_coco(labels)
    assert {name: truth for part in again for name, truth in part.truths.items()} == first.truths
    assert {name: car for part in again for name, car in part.vehicles.items()} == first.vehicles


def test_a_subset_and_a_split_narrow_an_export(tmp_path: Path) -> None:
    run("subsets", "save", "front", "1", "3", "5")
    told = run_json("export", str(tmp_path / "a"), "--subset", "front", "--format", "yolo", "--images", "none")
    assert (told["images"], told["subset"]) == (2, "front")
    assert not list((tmp_path / "a").rglob("*.jpg"))
    names = yaml.safe_load((tmp_path / "a" / "data.yaml").read_text())["names"]
    label = next((tmp_path / "a" / "labels" / "val").iterdir()).read_text().split()
    assert names[int(label[0])] == "scratch"
    only = run_json("export", str(tmp_path / "b"), "--subset", "front", "--split", "val", "--images", "copy")
    assert list(only["counts"]) == ["val"]
    assert next((tmp_path / "b").rglob("*.jpg")).stat().st_nlink == 1


def test_only_an_earlier_export_is_ever_replaced(tmp_path: Path) -> None:
    run("export", str(tmp_path / "set"))
    with pytest.raises(ConflictError, match="not empty"):
        run("export", str(tmp_path / "set"))
    run("export", str(tmp_path / "set"), "--overwrite", "--split", "val")
    assert [path.name for path in (tmp_path / "set" / "annotations").iterdir()] == ["val.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match="other things"):
        run("export", str(tmp_path / "mine"), "--overwrite")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert not list(tmp_path.glob(".*"))


def test_bad_wishes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_text("x")
    wrong = [
        ((str(out / "a"), "--subset", "nobody"), NotFoundError, "no subset 'nobody'"),
        ((str(out / "a"), "--snapshot", "9"), NotFoundError, "no snapshot '9'"),
        ((str(out / "file"),), ConflictError, "is a file"),
        ((str(out / "file" / "deeper"),), UnavailableError, "could not be"),
        ((str(out / "a"), "--split", "test"), ConflictError, "No labeled image"),
    ]
    for words, error, says in wrong:
        with pytest.raises(error, match=says):
            run("export", *words)
    assert [path.name for path in out.iterdir()] == ["file"]


def test_the_queue_is_in_order_urgent_first_and_tells_why(units: UnitOfWorkFactory) -> None:
    with units() as work:
        work.predictions.add_many([Prediction(5, 3, (make_detection(0.6),), 0.6)], MOMENT)
        work.predictions.add_many([Prediction(7, 3, (make_detection(0.9),), 0.9)], MOMENT)
        opinion = work.second_opinions.add(1, OpinionKind.REWORK, "a reflection", "lead", MOMENT)
        work.second_opinions.set_task(opinion.id, 18)
        work.commit()
    found = run_json("queue")
    assert [(i["image_id"], i["kind"], i["task_id"]) for i in found["items"]] == [
        (1, "rework", 18),
        (5, "round", 15),
        (6, "round", 16),
        (7, "round", 17),
    ]
    assert found["items"][0]["reason"] == "a reflection (asked by lead)"
    assert found["items"][1]["pre_labels"] == [{"damage_class": "dent", "confidence": 0.6}]
    assert found["items"][3]["pre_labels"] == []


def test_the_queue_is_filtered_and_never_by_hidden_pre_labels(units: UnitOfWorkFactory) -> None:
    with units() as work:
        found = [Prediction(image_id, 3, (make_detection(0.6),), 0.6) for image_id in (5, 6, 7)]
        work.predictions.add_many(found, MOMENT)
        work.image_requests.add(4, RequestKind.PIN, RequestOrigin.PERSON, "why", "me", MOMENT)
        work.commit()

    def places(*words: str) -> list[tuple[int, int]]:
        return [(i["place"], i["image_id"]) for i in run_json("queue", *words)["items"]]

    assert places("--class", "dent") == [(1, 5), (2, 6)]
    assert places("--min-score", "0.7") == places("--class", "scratch") == []
    assert places("--share", "audited") == places("--vehicle", "car7") == [(3, 7)]
    assert places("--limit", "1") == [(1, 5)]
    assert "1 pinned images come with the next round" in run("queue")
    assert run_json("queue", "pin", "5", "--reason", "first")["kind"] == "pin"
    with pytest.raises(InvalidInputError, match="known: "):
        run("queue", "--class", "rust")


def test_a_report_is_one_file_that_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    told = run_json("report", str(tmp_path / "report.html"))
    assert (told["images"], told["boxes"]) == (3, 3)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<img alt=") == page.count("data:image/png;base64,") == 4
    assert '<th scope="row">scratch</th><td>1</td><td>1</td><td>0</td><td>2</td>' in page
    with pytest.raises(InvalidInputError, match="HTML file"):
        run("report", str(tmp_path))


def test_a_job_is_shown_and_followed_to_its_end(units: UnitOfWorkFactory) -> None:
    with units() as work:
        work.jobs.request(JobRequest(JobKind.PROMOTE, "promote:v2", {"model_version": 2}), MOMENT)
        work.jobs.begin(1, MOMENT, MOMENT)
        work.jobs.finish(1, 1, JobState.FAILED, MOMENT, None, "The release is damaged.")
        work.commit()
    assert run_json("jobs", "show", "1")["state"] == "failed"
    assert "Failed: The release is damaged." in run("jobs", "show", "1")
    followed = CliRunner().invoke(app, ["jobs", "follow", "1"])
    assert (followed.exit_code, followed.stdout.splitlines()[-1]) == (1, "Job 1 is failed: The release is damaged.")
    assert run_json("jobs", "log", "1") == {"id": 1, "log": []}


def test_the_shell_is_offered_names_and_nothing_on_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("subsets", "save", "front", "1")
    assert (subset_names("fr"), subset_names("x"), round_numbers("")) == (["front"], [], ["1"])
    monkeypatch.setenv("DAMAGELOOP_HOME", str(tmp_path / "nowhere"))
    assert subset_names("") == []
