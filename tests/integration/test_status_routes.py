"""What the overview, the settings and the section about quality ask the API for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit

from console.components import quality as page
from damageloop.domain.job import JobKind, JobRequest
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import RoundKind, RoundState
from damageloop.domain.split import Split
from damageloop.services.insight.status import LOOP_TURN
from tests.factories import MOMENT, add_image, make_annotation, make_detection, make_item
from tests.integration.api_world import ApiWorld
from tests.integration.test_api import check_problem

PATHS = ("/v1/status", "/v1/learning-curve", "/v1/parameters", "/v1/quality", "/v1/quality/annotators/ann@example.org")


def review_one(world: ApiWorld) -> None:
    """Image 1 was dented by ann in open round 1."""
    with world.units() as work:
        add_image(work, 1, Split.TRAIN)
        work.rounds.add(1, RoundKind.QUERY, "entropy", None, 0, MOMENT, [make_item(1, task_id=11)])
        work.rounds.set_state(1, RoundState.OPEN, MOMENT)
        work.predictions.add_many([Prediction(1, 1, (make_detection(),), 0.9)], MOMENT)
        work.annotations.upsert(replace(make_annotation(1, updated_at=world.clock.now()), task_id=11))
        work.commit()


def test_the_status_of_a_new_platform_says_that_nothing_turns(world: ApiWorld) -> None:
    assert world.client(Scope.REVIEW).get("/v1/status").json() == {
        "is_turning": False,
        "turned_at": None,
        "waiting_for": [],
        "champion": None,
        "counts": {},
        "open_rounds": [],
        "running_jobs": 0,
        "queued_jobs": 0,
    }


def test_the_status_tells_what_is_open_and_when_the_loop_falls_silent(world: ApiWorld) -> None:
    world.promote(1)
    review_one(world)
    world.services.retry_job.ledger.request([JobRequest(JobKind.SCORE_POOL, "score", {})])
    with world.units() as work:
        turn = {"at": world.clock.now().isoformat(), "waiting_for": ["40 annotations"], "counts": {"images": 1}}
        work.facts.set(LOOP_TURN, turn)
        work.commit()
    client = world.client(Scope.REVIEW)
    found = client.get("/v1/status").json()
    assert (found["is_turning"], found["waiting_for"], found["counts"]) == (True, ["40 annotations"], {"images": 1})
    assert [(opened["id"], opened["state"]) for opened in found["open_rounds"]] == [(1, "open")]
    assert (found["champion"]["version"], found["queued_jobs"], found["running_jobs"]) == ("1", 1, 0)
    world.clock.advance(minutes=2)
    assert not client.get("/v1/status").json()["is_turning"]


def test_a_learning_curve_without_models_says_what_it_lacks(world: ApiWorld) -> None:
    found = world.client(Scope.REVIEW).get("/v1/learning-curve").json()
    assert (found["points"], found["forecast"]) == ([], [])
    assert found["sentence"]
    assert "mAP50" in found["definition"]


def test_the_parameters_are_those_of_the_file_each_class_with_a_color_of_its_own(world: ApiWorld) -> None:
    found = world.client(Scope.REVIEW).get("/v1/parameters").json()
    assert found["text"] == (Path(__file__).parents[2] / "params.yaml").read_text()
    assert [each["name"] for each in found["classes"]] == found["parameters"]["labels"]["classes"]
    assert len({each["color"] for each in found["classes"]}) == len(found["classes"])


def test_every_key_may_ask_what_it_is_and_nobody_else(world: ApiWorld) -> None:
    for scope in (Scope.PREDICT, Scope.REVIEW):
        response = world.client(scope).get("/v1/keys/current")
        assert (response.json()["scopes"], response.json()["name"]) == ([scope.value], "test")
        assert "key" not in response.json()
    check_problem(world.client(has_key=False).get("/v1/keys/current"), 401, "unauthenticated")


def test_quality_is_told_by_person_and_as_the_console_shows_it(world: ApiWorld, monkeypatch: Any) -> None:
    world.promote(1)
    review_one(world)
    client = world.client(Scope.REVIEW)
    report = client.get("/v1/quality").json()
    (person,) = report["by_annotator"]
    assert (person["annotator"], person["photos"]) == ("ann@example.org", 1)
    assert client.get("/v1/quality/annotators/ann@example.org").json() == person
    check_problem(client.get("/v1/quality/annotators/nobody"), 404, "not_found")
    shown: list[Any] = []
    asked = SimpleNamespace(get=lambda path: client.get(path).json())
    monkeypatch.setattr(page, "client", lambda: asked)
    monkeypatch.setattr(streamlit, "dataframe", lambda frame, **_: shown.append(frame))
    page.show_quality()
    assert shown[0]["Photos"].tolist() == [1]
    assert shown[0]["Annotator"].tolist() == ["ann@example.org"]


@pytest.mark.parametrize("path", PATHS)
def test_they_are_for_reviewers(world: ApiWorld, path: str) -> None:
    check_problem(world.client(Scope.PREDICT).get(path), 403, "missing_scope")
