"""Hostile photos over HTTP: each gets its code, and the application answers the next request as before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from damageloop.domain.key import Scope
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.fakes.clock import FakeClock
from tests.integration.api_world import ApiWorld, images, make_photo
from tests.integration.broken_files import SECRET, encoded, exif, odd_photos, picture, refused


@pytest.fixture
def world(units: UnitOfWorkFactory, clock: FakeClock, tmp_path: Path) -> ApiWorld:
    world = ApiWorld(units, clock, tmp_path)
    world.promote()
    return world


def test_hostile_photos_cost_a_good_one_nothing(world: ApiWorld) -> None:
    names = ("animated webp", "half a png", "profile bomb", "png of most pixels", "jpeg of no height", "empty")
    codes = [refused()[name][0] for name in names]
    files = images(*(refused()[name][1] for name in names), make_photo(), odd_photos()["cmyk jpeg"])
    with world.client(Scope.PREDICT) as client:
        answer = client.post("/v1/predictions", files=files).json()
    assert [image["error"] and image["error"]["code"] for image in answer["images"]] == [*codes, None, None]
    assert [(image["width"], image["height"]) for image in answer["images"][-2:]] == [(320, 240), (96, 64)]


def test_every_refused_file_has_a_code_that_clients_know(world: ApiWorld) -> None:
    bad = [(code, content) for code, content in refused().values() if len(content) < 200_000]
    with world.client(Scope.PREDICT) as client:
        for start in range(0, len(bad), 4):
            some = bad[start : start + 4]
            problem = client.post("/v1/predictions", files=images(*(content for _, content in some)))
            assert problem.status_code == 422
            told = [image["error"]["code"] for image in problem.json()["images"]]
            # The product takes larger photos than the corpus was made for.
            assert all(code in (known, "truncated") for code, (known, _) in zip(told, some, strict=True))
        assert client.post("/v1/predictions", files=images(make_photo())).status_code == 200


def test_no_metadata_of_a_photo_is_in_the_answer_or_the_evidence(world: ApiWorld) -> None:
    content = encoded(picture(), "JPEG", exif=exif(6), comment=SECRET)
    with world.client(Scope.PREDICT) as client:
        answer = client.post("/v1/predictions", files=images(content)).json()
        again = client.get(f"/v1/predictions/{answer['request_id']}").json()
    evidence = world.services.evidence.get(answer["request_id"])
    assert (answer["images"][0]["width"], answer["images"][0]["height"]) == (64, 96)
    for kept in (answer, again, evidence):
        assert SECRET.decode() not in json.dumps(kept)
