"""`damageloop labels`, `forget` and `retention`, and the route: what they print, refuse and write."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from damageloop.cli.app import app
from damageloop.domain.image import ImageStatus
from damageloop.domain.key import Scope
from damageloop.errors import DamageloopError
from damageloop.params import load_params
from damageloop.ports import ToolIdentity
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.reviews.receive_reviews import IDENTITY
from tests.factories import add_image, make_annotation
from tests.fakes.photos import PARAMS_FILE
from tests.integration.api_world import ApiWorld


@pytest.fixture
def params_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, units: UnitOfWorkFactory) -> Path:
    """An installation with two images, the first with a dent, whose Label Studio is down."""
    folder = tmp_path / "home"
    (folder / "workspace").mkdir(parents=True)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "label-studio-token").write_text("ab" * 20)
    monkeypatch.setenv("DAMAGELOOP_HOME", str(folder))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    monkeypatch.setenv("DAMAGELOOP_LABEL_STUDIO_URL", "http://127.0.0.1:9")
    with units() as work:
        for number in (1, 2):
            add_image(work, number)
        work.annotations.upsert(make_annotation(1))
        work.facts.set(IDENTITY, asdict(ToolIdentity(1, "2026")))
        work.commit()
    return Path(shutil.copy(PARAMS_FILE, folder / "workspace" / "params.yaml"))


def run(*words: str, fails: bool = False) -> str:
    result = CliRunner().invoke(app, list(words))
    assert (result.exit_code != 0) is fails, result.output
    return result.output


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def test_a_rename_is_shown_before_it_is_done(params_file: Path) -> None:
    text = params_file.read_text()
    shown = run_json("labels", "rename", "dent", "ding")
    assert (shown["annotations"], shown["boxes"], shown["is_done"]) == (1, 1, False)
    assert shown["images_by_split"] == {"train": 1}
    assert "Nothing was done" in run("labels", "rename", "dent", "ding")
    assert params_file.read_text() == text


def test_a_change_that_label_studio_could_not_follow_is_told_and_kept(params_file: Path) -> None:
    result = CliRunner().invoke(app, ["labels", "rename", "dent", "ding", "--yes"])
    assert isinstance(result.exception, DamageloopError)
    assert load_params(params_file).labels.classes == ("scratch", "ding")
    listed = run_json("labels", "list")
    assert listed["classes"] == [{"name": "scratch", "boxes": 0}, {"name": "ding", "boxes": 1}]
    assert listed["renamed"] == {"dent": "ding"}
    assert listed["is_applied"]


def test_a_params_yaml_from_before_the_past_of_classes_is_added_to(params_file: Path) -> None:
    lines = params_file.read_text().splitlines(keepends=True)
    older = [line for line in lines if line.strip() not in ("renamed: {}", "removed: []")]
    params_file.write_text("".join(older))
    CliRunner().invoke(app, ["labels", "add", "crack"])
    assert params_file.read_text() == "".join(older).replace("[scratch, dent]", "[scratch, dent, crack]")
    CliRunner().invoke(app, ["labels", "remove", "crack", "--yes"])
    assert load_params(params_file).labels.removed == ("crack",)


def test_forgetting_is_shown_before_it_is_done_and_wants_a_reason(params_file: Path, units: UnitOfWorkFactory) -> None:
    assert params_file.exists()
    shown = run_json("forget", "1")
    assert (shown["image_ids"], shown["annotations"], shown["is_done"]) == ([1], 1, False)
    run("forget", "1", "--yes", fails=True)
    run("forget", fails=True)
    run("forget", "1", "--vehicle", "vehicle-1", fails=True)
    done = run_json("forget", "--vehicle", "vehicle-1", "--reason", "asked for", "--yes")
    assert [r["image_id"] for r in done["redactions"]] == [1]
    with units(read_only=True) as work:
        assert [image.status for image in work.images.get_many([1, 2])] == [ImageStatus.FORGOTTEN, ImageStatus.ACTIVE]


def test_retention_counts_before_it_removes(params_file: Path) -> None:
    assert params_file.exists()
    counted = run_json("retention", "apply", "--dry-run")
    kinds = ("evidence", "inbox", "jobs", "images", "valuations", "idempotent_requests", "batches")
    kinds += ("served_images", "production_photos")
    assert counted == {**dict.fromkeys(kinds, 0), "is_dry_run": True}


def test_an_administrator_may_forget_over_http_and_nobody_else(world: ApiWorld) -> None:
    with world.units() as work:
        image = add_image(work, 1)
        work.commit()
    body = {"reason": "the owner asked for it"}
    assert world.client(Scope.REVIEW).post(f"/v1/images/{image.id}/forget", json=body).status_code == 403
    client = world.client(Scope.ADMIN)
    (redaction,) = client.post(f"/v1/images/{image.id}/forget", json=body).json()
    assert (redaction["image_id"], redaction["reason"], redaction["finished_at"]) == (image.id, body["reason"], None)
    assert world.nudges
    assert client.get(f"/v1/images/{image.id}").json()["status"] == "forgotten"
    assert client.post("/v1/images/99/forget", json=body).status_code == 404
    assert client.post(f"/v1/images/{image.id}/forget", json={"reason": ""}).status_code == 422
