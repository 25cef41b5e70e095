"""Subsets, label errors, the embedding map and similar boxes over HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from damageloop.adapters.projection import TsneProjection
from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.job import JobKind
from damageloop.domain.key import Scope
from damageloop.domain.label_error import Doubt
from damageloop.domain.round import RoundKind
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.ports.persistence import FoundLabelError
from damageloop.services.images.embed_crops import counting_crops
from damageloop.services.images.embedding_map import MakeEmbeddingMap
from tests.factories import MOMENT, add_image, make_annotation, make_detection, make_item
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params
from tests.integration.api_world import ApiWorld


@pytest.fixture(name="client")
def client_(world: ApiWorld) -> Any:
    """Images 1 to 4 of train, 5 of test; 1 is damaged, 2 is in an open round. Version 1 is champion."""
    world.promote(1)
    with world.units() as work:
        for number in range(1, 6):
            add_image(work, number, Split.TEST if number == 5 else Split.TRAIN)
        work.annotations.upsert(make_annotation(1, "a"))
        row = Snapshot(1, "snapshot-0001", "c", "h", None, {}, "r", "l", "p", MOMENT)
        work.snapshots.add(row, 1)
        work.commit()
    return world.client(Scope.REVIEW)


def test_a_subset_lives_from_post_to_delete(client: Any) -> None:
    made = client.post("/v1/subsets", json={"name": "some", "note": "n", "image_ids": [2, 1, 2]})
    assert made.status_code == 201
    body = made.json()
    assert (body["image_ids"], body["n_images"], body["created_by"]) == ([1, 2], 2, "test")
    path = f"/v1/subsets/{body['id']}"
    assert client.patch(path, json={"add": [5], "remove": [1]}).json()["image_ids"] == [2, 5]
    replaced = client.put(path, json={"name": "held out", "query": {"split": "test"}}).json()
    assert (replaced["name"], replaced["image_ids"]) == ("held out", [5])
    listed = client.get("/v1/subsets").json()["items"]
    assert [(item["name"], item["n_images"]) for item in listed] == [("held out", 1)]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"name": "x", "image_ids": [99]}, 404),
        ({"name": "x"}, 422),
        ({"name": "x", "image_ids": [1], "query": {}}, 422),
        ({"name": " ", "image_ids": [1]}, 422),
        ({"name": "x", "query": {"min_score": 0.9, "max_score": 0.1}}, 422),
        ({"name": "x", "query": {"colour": "red"}}, 422),
        ({"name": "taken", "image_ids": [1]}, 409),
    ],
)
def test_a_subset_that_cannot_be_is_refused(client: Any, wanted: dict[str, Any], status: int) -> None:
    client.post("/v1/subsets", json={"name": "taken", "image_ids": []})
    assert client.post("/v1/subsets", json=wanted).status_code == status


def test_every_route_wants_the_scope_review(world: ApiWorld) -> None:
    client = world.client(Scope.PREDICT)
    for path in ("/v1/subsets", "/v1/label-errors", "/v1/embedding-map", "/v1/images/1/boxes/0/similar"):
        assert client.get(path).status_code == 403


def test_label_errors_are_listed_sent_and_searched(client: Any, world: ApiWorld) -> None:
    detections = (make_detection(0.93, "scratch"),)
    with world.units() as work:
        digest = make_annotation(1).content_hash
        work.annotations.upsert(make_annotation(5, "e"))
        held_out = FoundLabelError(5, make_annotation(5).content_hash, Doubt(0.3, "secret"), detections)
        work.label_errors.keep(1, [FoundLabelError(1, digest, Doubt(0.2, "words"), detections), held_out], MOMENT)
        work.commit()
    first, second = client.get("/v1/label-errors").json()["items"]
    assert (first["image_id"], first["quality"], first["reason"], first["state"]) == (1, 0.2, "words", "open")
    assert first["detections"][0]["damage_class"] == "scratch"
    assert (second["image_id"], second["reason"], second["detections"]) == (5, None, None)
    page = client.get("/v1/label-errors", params={"limit": 1}).json()
    assert page == {"items": [first], "next_after": first["id"]}
    rest = client.get("/v1/label-errors", params={"limit": 1, "after": page["next_after"]}).json()
    assert rest == {"items": [second], "next_after": None}
    assert client.get("/v1/label-errors", params={"after": 99}).status_code == 422
    assert client.post("/v1/label-errors/send", json={"max": 1}).json() == {"image_ids": [1]}
    queued = client.get("/v1/label-errors", params={"state": "queued"}).json()["items"]
    assert [item["image_id"] for item in queued] == [1]
    asked = client.post("/v1/label-errors/find")
    assert (asked.status_code, asked.json()["kind"]) == (202, "find_label_errors")
    assert client.post("/v1/label-errors/send", json={"max": 0}).status_code == 422


def test_a_map_is_asked_for_made_by_a_job_and_read(client: Any, world: ApiWorld) -> None:
    assert client.get("/v1/embedding-map").status_code == 409
    asked = client.post("/v1/embedding-map", json={})
    assert (asked.status_code, asked.json()["kind"]) == (202, JobKind.EMBEDDING_MAP)
    assert world.queue.sent == [(asked.json()["id"], "default")]
    rng = np.random.default_rng(0)
    world.features.append("1", [1, 2, 3, 5], rng.normal(size=(4, 8)).astype(np.float32))
    with world.units() as work:
        work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, MOMENT, [make_item(2), make_item(3, 1)])
        work.commit()
    make = MakeEmbeddingMap(world.units, world.features, world.maps, TsneProjection())
    made = make({"source": "1"}, NoContext())
    assert (made["images"], made["is_new"]) == (4, True)
    assert make({"source": "1"}, NoContext()) == {**made, "is_new": False}
    body = client.get("/v1/embedding-map", params={"source": "1"}).json()
    assert (body["source"], body["hash"]) == ("1", made["hash"])
    points = {point["image_id"]: point for point in body["points"]}
    assert {i: p["state"] for i, p in points.items()} == {1: "labeled", 2: "in_round", 3: "in_round", 5: "unlabeled"}
    assert {i: p["damage_classes"] for i, p in points.items()} == {1: ["dent"], 2: None, 3: None, 5: None}
    assert client.get("/v1/embedding-map", params={"source": "../secrets"}).status_code == 422


def test_boxes_that_look_alike_are_found_and_an_edit_asks_for_a_new_embedding(client: Any, world: ApiWorld) -> None:
    boxes = (LabeledBox("scratch", Box(1, 1, 20, 20)), LabeledBox("dent", Box(5, 5, 50, 60)))
    with world.units() as work:
        work.annotations.upsert(Annotation(3, Verdict.DAMAGED, boxes, "label-studio", "c", "ann", MOMENT))
        work.commit()
        keys = [crop.key for crop in counting_crops(work, make_params())]
    world.features.append_crops("1", keys, np.array([[1, 0], [0, 1], [3, 0.3]], dtype=np.float32))
    found = client.get("/v1/images/1/boxes/0/similar").json()
    assert [(item["image_id"], item["number"], item["damage_class"]) for item in found] == [
        (3, 1, "dent"),
        (3, 0, "scratch"),
    ]
    assert found[0]["similarity"] == pytest.approx(3 / (9.09**0.5), abs=1e-3)
    assert client.get("/v1/images/1/boxes/1/similar").status_code == 404
    with world.units() as work:
        work.annotations.upsert(make_annotation(1, "a", x_min=12.0))
        work.commit()
    assert "no embedding" in client.get("/v1/images/1/boxes/0/similar").json()["detail"]
