"""Promotion and rollback over HTTP and on the command line: the same services, the same sentences."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from typer.testing import CliRunner

from damageloop.cli.app import app
from damageloop.domain.key import Scope
from damageloop.domain.promotion import DecisionKind, PromotionStep
from damageloop.errors import DamageloopError
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT
from tests.fakes.photos import PARAMS_FILE
from tests.integration.api_world import ApiWorld, images, make_photo
from tests.integration.test_api import check_problem

OPEN = ["registry", "serving", "pool", "pre_annotations"]


@pytest.fixture(autouse=True)
def three_versions(world: ApiWorld, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Versions 1 and 2 were champions, 3 is; the command line works on the same home."""
    for version in (1, 2, 3):
        world.promote(version)
    home = world.folder
    (home / "workspace").mkdir()
    shutil.copy(PARAMS_FILE, home / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(home))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)


def run(*words: str) -> Any:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, DamageloopError):
        return str(result.exception)
    assert result.exit_code == 0, result.output
    return json.loads(result.output) if "--json" in words else result.output


# --- HTTP ------------------------------------------------------------------------------------------------------


def test_a_rollback_over_http_changes_who_answers_and_nudges_the_loop(world: ApiWorld) -> None:
    client = world.client(Scope.ADMIN)
    answer = client.post("/v1/models/rollback", json={"reason": "false alarms"}).json()
    assert (answer["changed"], answer["detail"][:28]) == (True, "Version 2 is champion again,")
    promotion = answer["promotion"]
    assert (promotion["model_version"], promotion["previous_version"], promotion["reason"]) == ("2", "3", "rollback")
    assert (promotion["asked_by"], promotion["note"]) == ("test", "false alarms")
    assert [step["step"] for step in promotion["steps"]] == ["release", *OPEN]
    assert [step["done_at"] is None for step in promotion["steps"]] == [False, True, True, True, True]
    assert len(world.nudges) == 1
    world.services.champion.refresh()
    assert client.post("/v1/predictions", files=images(make_photo())).json()["model_version"] == "2"
    again = client.post("/v1/models/rollback", json={"reason": "false alarms", "to": "2"}).json()
    assert (again["changed"], again["promotion"]["id"], len(world.nudges)) == (False, promotion["id"], 1)


def test_a_promotion_over_http_wants_the_gate_or_the_word(world: ApiWorld) -> None:
    client = world.client(Scope.ADMIN)
    problem = check_problem(client.post("/v1/models/1/promote", json={"reason": "it was better"}), 409, "conflict")
    assert "has not judged version 1" in str(problem["detail"])
    wanted = {"reason": "it was better", "against_the_gate": True}
    assert client.post("/v1/models/1/promote", json=wanted).json()["promotion"]["reason"] == "person"
    assert client.post("/v1/models/1/promote", json=wanted).json()["changed"] is False


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/models/99/promote", {"reason": "why not"}, 404, "not_found"),
        ("/v1/models/0/promote", {"reason": "why not"}, 422, "invalid_input"),
        ("/v1/models/1/promote", {}, 422, "invalid_input"),
        ("/v1/models/1/promote", {"reason": "why not", "force": True}, 422, "invalid_input"),
        ("/v1/models/rollback", {"reason": "   "}, 422, "invalid_input"),
        ("/v1/models/rollback", {"reason": "bad", "to": "third"}, 422, "invalid_input"),
        ("/v1/models/rollback", {"reason": "bad", "to": "99"}, 409, "conflict"),
    ],
)
def test_what_cannot_be_done_is_a_problem_and_changes_nothing(
    world: ApiWorld, path: str, body: dict[str, object], status: int, code: str
) -> None:
    check_problem(world.client(Scope.ADMIN).post(path, json=body), status, code)
    with world.units(read_only=True) as work:
        assert len(work.models.promotions()) == 3


@pytest.mark.parametrize("path", ["/v1/models/1/promote", "/v1/models/rollback"])
def test_only_an_administrator_changes_the_champion(world: ApiWorld, path: str) -> None:
    client = world.client(Scope.REVIEW, Scope.PREDICT)
    check_problem(client.post(path, json={"reason": "I want to"}), 403, "missing_scope")


def test_models_are_listed_with_their_promotions_and_the_champions_steps(world: ApiWorld) -> None:
    with world.units() as work:
        work.models.record_step(3, PromotionStep.POOL, "66 images", MOMENT)
        work.commit()
    client = world.client(Scope.ADMIN)
    client.post("/v1/models/rollback", json={"reason": "false alarms"})
    with world.units() as work:
        work.models.record_step(4, PromotionStep.SERVING, "the API answers with version 2", MOMENT)
        work.commit()
    one, two, three = client.get("/v1/models").json()["items"]
    assert [len(model["promotions"]) for model in (one, two, three)] == [1, 2, 1]
    assert [step["step"] for step in three["promotions"][0]["steps"]] == ["pool", "superseded"]
    newest = two["promotions"][-1]
    assert [(s["step"], s["detail"] is None) for s in newest["steps"]] == [
        ("release", False),
        ("serving", False),
        ("registry", True),
        ("pool", True),
        ("pre_annotations", True),
    ]


def test_a_fresh_api_whose_champion_is_damaged_answers_with_the_one_before_and_says_so(world: ApiWorld) -> None:
    file = world.folder / "releases" / "3" / "model.bin"
    file.write_bytes(b"damaged")
    fresh = ApiWorld(world.units, world.clock, world.folder)
    fresh.services.champion.refresh()
    client = fresh.client(Scope.PREDICT)
    assert client.post("/v1/predictions", files=images(make_photo())).json()["model_version"] == "2"
    ready = client.get("/v1/health/ready").json()
    assert (ready["champion"], ready["is_newest"]) == ("2", False)
    assert ready["degraded"].startswith("File model.bin of release 3 is damaged or missing")
    assert ready["degraded"].endswith("Version 2 answers in its place.")
    file.write_bytes(b"weights")
    for _ in range(11):
        fresh.services.champion.refresh()
    assert client.get("/v1/health/ready").json()["degraded"] is None
    assert client.post("/v1/predictions", files=images(make_photo())).json()["model_version"] == "3"


# --- command line ----------------------------------------------------------------------------------------------


def test_a_rollback_on_the_command_line_is_one_command(units: UnitOfWorkFactory) -> None:
    assert run("rollback", "--reason", "false alarms").startswith("Version 2 is champion again, in place of version 3.")
    with units(read_only=True) as work:
        (entry,) = work.audit.all()
    assert (entry.actor, entry.action, entry.subject) == ("command line", "rollback", "model 2")
    again = run("rollback", "--reason", "false alarms", "--to", "2", "--json")
    assert (again["changed"], again["promotion"]["reason"]) == (False, "rollback")
    assert "no champion from before version 2" in run("rollback", "--reason", "no", "--to", "3")


def test_a_promotion_on_the_command_line_wants_the_gate_or_the_word(units: UnitOfWorkFactory) -> None:
    assert "The gate has not judged version 1" in run("promote", "1", "--reason", "it was better")
    with units() as work:
        work.models.add_decision(3, 1, DecisionKind.REFUSE, ["Recall fell."], {}, MOMENT)
        work.commit()
    assert "through: Recall fell. --against-the-gate" in run("promote", "1", "--reason", "it was better")
    forced = run("promote", "1", "--reason", "it was better", "--against-the-gate", "--json")
    assert (forced["changed"], forced["promotion"]["note"]) == (True, "it was better")


def test_rollback_alone_is_a_whole_command() -> None:
    assert run("rollback", "--json")["promotion"]["note"] == "no reason given"


@pytest.mark.parametrize("words", [("promote",), ("promote", "--reason", "x"), ("rollback", "--to")])
def test_wrong_use_exits_with_two(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, list(words)).exit_code == 2


def test_models_are_listed_with_each_promotion_and_its_reason() -> None:
    run("rollback", "--reason", "false alarms")
    listed = {model["version"]: model for model in run("models", "--json")}
    assert [p["reason"] for p in listed["2"]["promotions"]] == ["person", "rollback"]
    assert [step["step"] for step in listed["2"]["promotions"][-1]["steps"]] == ["release", *OPEN]
    assert (listed["2"]["is_champion"], listed["3"]["is_champion"]) == (True, False)
    shown = " ".join(run("models").split())
    assert "rollback by command" in shown
    assert "superseded" in shown


def test_status_says_loudly_that_the_champions_release_is_damaged_and_what_answers_instead(world: ApiWorld) -> None:
    assert run("status", "--json")["degraded"] is None
    for version in (2, 3):
        (world.folder / "releases" / str(version) / "manifest.json").write_text('{"model_ver')
    degraded = run("status", "--json")["degraded"]
    assert degraded.startswith("File manifest.json of release 3 is damaged or missing: `damageloop models repair 3`")
    assert degraded.endswith("Version 1 answers after a restart; a process that has loaded it answers on.")
    assert "DEGRADED: File manifest.json of release 3" in run("status")
