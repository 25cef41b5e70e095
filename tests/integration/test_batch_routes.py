"""Batches over HTTP: taken in whole or not at all, answered by the worker's own code, read as lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from damageloop.adapters.identifiers import time_ordered_id
from damageloop.bootstrap.image_reader import make_image_reader
from damageloop.domain.batch import Batch
from damageloop.domain.job import JobKind, JobState
from damageloop.domain.key import Scope
from damageloop.errors import InvalidInputError
from damageloop.ports import JobContext
from damageloop.services.loop.ledger import Ledger
from damageloop.services.serving.answer_batch import AnswerBatch
from damageloop.services.serving.answer_damage import AnswerDamage
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.services.serving.single_photos import SinglePhotos
from tests.fakes.job_queue import FakeJobQueue
from tests.integration.api_world import ApiWorld, make_photo

Photos = list[tuple[str, tuple[str, bytes]]]


@pytest.fixture
def client(world: ApiWorld) -> TestClient:
    world.promote(1)
    return world.client(Scope.PREDICT)


def photos(*names: str) -> Photos:
    return [("images", (name, make_photo())) for name in names]


def work_on(world: ApiWorld, batch_id: str) -> JobState | None:
    """Do what a worker does, with the champion's fake detector."""

    def answers_of(batch: Batch) -> SinglePhotos:
        champion, reader = world.services.champion, make_image_reader(world.params)
        evidence = EvidenceLog(world.units)
        evidence.start()
        answer = AnswerDamage(champion, reader, evidence, world.clock, time_ordered_id, world.params.serving)
        return SinglePhotos(answer, champion.current(), batch.api_key_id)

    job_id = world.services.batches.get(batch_id).job_id
    assert job_id is not None
    handler = AnswerBatch(world.units, world.batch_photos, answers_of, world.clock)
    return Ledger(world.units, FakeJobQueue(), world.clock).run(job_id, {JobKind.PREDICT_BATCH: handler})


def lines(client: TestClient, batch_id: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/batches/{batch_id}/results", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_each_photo_of_a_batch_gets_its_line(client: TestClient, world: ApiWorld) -> None:
    sent = [*photos("a.jpg", "b.jpg"), ("images", ("broken.jpg", b"no photo"))]
    made = client.post("/v1/batches", files=sent)
    assert made.status_code == 202
    batch_id = made.json()["batch_id"]
    assert (made.json()["state"], made.json()["n_images"], lines(client, batch_id)) == ("queued", 3, [])
    assert work_on(world, batch_id) is JobState.SUCCEEDED
    done = client.get(f"/v1/batches/{batch_id}").json()
    assert (done["state"], done["n_answered"], done["model_version"]) == ("done", 3, "1")
    found = lines(client, batch_id)
    assert [line["filename"] for line in found] == ["a.jpg", "b.jpg", "broken.jpg"]
    assert (found[2]["prediction"], found[2]["error"]["code"]) == (None, "not_an_image")
    assert [line["number"] for line in lines(client, batch_id, after=0, limit=1)] == [1]
    # Each has its evidence, as any other request.
    again = client.get(f"/v1/predictions/{found[0]['prediction']['request_id']}")
    assert again.json() == found[0]["prediction"]


def test_a_batch_that_is_sent_twice_is_made_once(client: TestClient, world: ApiWorld) -> None:
    header = {"Idempotency-Key": "one"}
    first = client.post("/v1/batches", files=photos("a.jpg"), headers=header)
    second = client.post("/v1/batches", files=photos("a.jpg"), headers=header)
    assert second.json()["batch_id"] == first.json()["batch_id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert world.batch_photos.batch_ids() == [first.json()["batch_id"]]
    other = client.post("/v1/batches", files=photos("b.jpg"), headers=header)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([*photos("a.jpg"), ("others", ("b.jpg", b"x"))], "'others' is unknown"),
        ([*photos("a.jpg"), ("vehicle_id", (None, b"x"))], "'vehicle_id' is unknown"),
        (photos(*(f"{number}.jpg" for number in range(9))), "has more"),
    ],
)
def test_nothing_is_kept_of_a_request_that_is_refused(
    client: TestClient, world: ApiWorld, files: Photos, sentence: str
) -> None:
    answer = client.post("/v1/batches", files=files)
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert world.batch_photos.batch_ids() == []


def test_photos_are_added_until_the_batch_is_started(client: TestClient) -> None:
    made = client.post("/v1/batches", params={"is_complete": "false"}, files=photos("a.jpg")).json()
    path = f"/v1/batches/{made['batch_id']}"
    assert made["state"] == "open"
    assert client.post(f"{path}/images", files=photos("b.jpg", "c.jpg")).json()["n_images"] == 3
    assert client.post(f"{path}/start").json()["state"] == "queued"
    late = client.post(f"{path}/images", files=photos("d.jpg"))
    assert (late.status_code, "takes no more photos" in late.json()["detail"]) == (409, True)


def test_a_removed_batch_is_gone(client: TestClient, world: ApiWorld) -> None:
    batch_id = client.post("/v1/batches", files=photos("a.jpg")).json()["batch_id"]
    assert client.delete(f"/v1/batches/{batch_id}").status_code == 204
    for answer in (client.get(f"/v1/batches/{batch_id}"), client.get(f"/v1/batches/{batch_id}/results")):
        assert answer.status_code == 404
    assert world.batch_photos.batch_ids() == []


def test_without_a_model_no_batch_is_taken(world: ApiWorld, tmp_path: Path) -> None:
    answer = world.client(Scope.PREDICT).post("/v1/batches", files=photos("a.jpg"))
    assert (answer.status_code, answer.json()["code"]) == (503, "no_model")


def test_why_a_batch_failed_names_no_folder(client: TestClient, world: ApiWorld) -> None:
    batch_id = client.post("/v1/batches", files=photos("a.jpg")).json()["batch_id"]
    job_id = world.services.batches.get(batch_id).job_id
    assert job_id is not None

    def broken(_inputs: Mapping[str, Any], _context: JobContext) -> dict[str, Any]:
        raise InvalidInputError("File /home/somebody/releases/1/model.bin is damaged.")

    Ledger(world.units, FakeJobQueue(), world.clock).run(job_id, {JobKind.PREDICT_BATCH: broken})
    told = client.get(f"/v1/batches/{batch_id}").json()
    assert (told["state"], told["error"]) == ("failed", "File …/model.bin is damaged.")
