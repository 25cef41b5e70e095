"""The ML backend answers every task, in order, and tells nothing it should not."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from ml_backend.application import create_app
from tests.fakes.pre_annotation_source import FakePreAnnotationSource

DENT = Detection("dent", 0.9, Box(10.0, 20.0, 30.0, 60.0))
SECRET = "the-token-of-the-project-owner"


@pytest.fixture
def source() -> FakePreAnnotationSource:
    return FakePreAnnotationSource({1: (DENT,), 2: (DENT, DENT), 3: (DENT, DENT, DENT)}, version=5)


@pytest.fixture
def client(source: FakePreAnnotationSource) -> FlaskClient:
    return create_app(source).test_client()


def task(image_id: object, task_id: int = 100) -> dict[str, Any]:
    return {"id": task_id, "project": 1, "data": {"image": "/data/local-files/?d=x", "image_id": image_id}}


def predict(client: FlaskClient, *tasks: Any) -> list[dict[str, Any]]:
    body = {"tasks": list(tasks), "project": "1.17", "label_config": "<View/>", "params": {"login": None}}
    response = client.post("/predict", json=body)
    assert response.status_code == 200
    results: list[dict[str, Any]] = response.get_json()["results"]
    return results


def numbers_of_boxes(answers: list[dict[str, Any]]) -> list[int]:
    return [len(answer["result"]) for answer in answers]


def test_no_tasks_have_no_answers(client: FlaskClient) -> None:
    assert predict(client) == []


def test_answers_keep_the_order_of_the_tasks(client: FlaskClient) -> None:
    answers = predict(client, task(3, 11), task(1, 12), task(2, 13))
    assert numbers_of_boxes(answers) == [3, 1, 2]
    assert {answer["model_version"] for answer in answers} == {"5"}


def test_one_bad_image_costs_no_other_its_answer(client: FlaskClient, source: FakePreAnnotationSource) -> None:
    source.broken = {2: "cannot read"}
    assert numbers_of_boxes(predict(client, task(1, 11), task(2, 12), task(3, 13))) == [1, 0, 3]


def test_foreign_tasks_are_answered_empty(client: FlaskClient) -> None:
    odd = [task("1"), task(None), task(999), {"id": 4}, "no task", task(1)]
    assert numbers_of_boxes(predict(client, *odd)) == [0, 0, 0, 0, 0, 1]


def test_an_answer_of_the_wrong_length_is_never_shifted(
    client: FlaskClient, source: FakePreAnnotationSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = source.pre_annotations
    monkeypatch.setattr(source, "pre_annotations", lambda tasks: whole(tasks)[:1])
    assert numbers_of_boxes(predict(client, task(1, 11), task(2, 12))) == [1, 2]


def test_audited_images_show_nothing(client: FlaskClient, source: FakePreAnnotationSource) -> None:
    source.audited = {2}
    assert numbers_of_boxes(predict(client, task(1, 11), task(2, 12))) == [1, 0]


def test_the_champion_is_followed(client: FlaskClient, source: FakePreAnnotationSource) -> None:
    assert client.post("/setup", json={"project": "1.17"}).get_json() == {"model_version": "5"}
    source.version = 6
    assert client.post("/setup", json={"project": "1.17"}).get_json() == {"model_version": "6"}
    assert predict(client, task(1))[0]["model_version"] == "6"


def test_without_a_champion_every_answer_is_empty(client: FlaskClient, source: FakePreAnnotationSource) -> None:
    source.version = None
    assert numbers_of_boxes(predict(client, task(1), task(2))) == [0, 0]


def test_errors_tell_no_detail(
    client: FlaskClient, source: FakePreAnnotationSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise RuntimeError("/secret/path/model.xml")

    monkeypatch.setattr(source, "model_version", fail)
    for path in ("/predict", "/setup"):
        response = client.post(path, json={"tasks": [task(1)]})
        assert response.status_code == 500
        assert response.get_json() == {"error": "internal error"}
    broken = client.post("/predict", data="{", content_type="application/json")
    assert (broken.status_code, broken.get_json()) == (500, {"error": "internal error"})


def test_no_token_is_logged_or_kept(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client.post("/setup", json={"project": "1.17", "access_token": SECRET, "hostname": "http://localhost"})
        client.post("/webhook", json={"action": "ANNOTATION_CREATED", "token": SECRET})
        predict(client, task(1))
    assert SECRET not in caplog.text


def test_webhooks_are_answered_and_ignored(client: FlaskClient, source: FakePreAnnotationSource) -> None:
    response = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 1}})
    assert (response.status_code, response.get_json()) == (200, {"status": "ignored"})
    assert source.calls == []


@pytest.mark.parametrize("path", ["/train", "/is_training", "/metrics"])
def test_routes_that_train_or_list_folders_are_closed(client: FlaskClient, path: str) -> None:
    assert client.post(path, json={"annotations": []}).status_code == 404
    assert client.get(path).status_code == 404


def test_it_is_healthy(client: FlaskClient) -> None:
    assert client.get("/health").status_code == 200


def test_the_versions_begin_with_the_champion(client: FlaskClient) -> None:
    assert client.get("/versions").get_json() == {"versions": ["5", "4", "3", "2", "1"]}
    assert client.post("/versions").status_code == 404


class TestWithAPassword:
    @pytest.fixture
    def client(self, source: FakePreAnnotationSource) -> FlaskClient:
        return create_app(source, password="p:ss").test_client()

    def test_nothing_but_health_is_told_to_strangers(
        self, client: FlaskClient, source: FakePreAnnotationSource
    ) -> None:
        wrong = [None, ("damageloop", "p"), ("other", "p:ss"), ("damageloop", "")]
        for auth in wrong:
            for path in ("/predict", "/setup", "/webhook", "/train"):
                refused = client.post(path, json={"tasks": [task(1)]}, auth=auth)
                assert (refused.status_code, refused.get_json()) == (401, {"error": "unauthorized"})
            assert client.get("/versions", auth=auth).status_code == 401
            assert client.get("/health", auth=auth).status_code == 200
        assert client.get("/versions", headers={"Authorization": "Basic \xff"}).status_code == 401
        assert source.calls == []

    def test_label_studio_is_answered(self, client: FlaskClient) -> None:
        answer = client.post("/predict", json={"tasks": [task(1)]}, auth=("damageloop", "p:ss"))
        assert numbers_of_boxes(answer.get_json()["results"]) == [1]
