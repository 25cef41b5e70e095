"""The data as a whole and outlines on the map, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from damageloop.domain.image import QuarantinedFile
from damageloop.domain.key import Scope
from damageloop.domain.split import Split
from tests.factories import add_image, make_annotation
from tests.integration.api_world import ApiWorld

PLACES = {1: (0.0, 0.0), 2: (0.5, 0.5), 3: (0.9, 0.9), 4: (-0.9, 0.0)}
UPPER_RIGHT = {"outline": [[0.2, 0.2], [1.0, 0.2], [1.0, 1.0], [0.2, 1.0]]}


@pytest.fixture(name="client")
def client_(world: ApiWorld) -> Any:
    """Images 1 to 4, of which 1 is damaged and 2 and 3 are near-duplicates, with a map of source 1."""
    world.promote(1)
    world.maps.write("0" * 32, PLACES)
    with world.units() as work:
        for number in range(1, 5):
            add_image(work, number, Split.TEST if number == 2 else Split.TRAIN)
        work.annotations.upsert(make_annotation(1, "a"))
        work.images.set_group([3], "vehicle-2")
        work.images.exclude_leaks([3])
        work.images.quarantine(QuarantinedFile("broken.jpg", "truncated", "It ends early."), "f" * 64)
        work.facts.set("embedding_map.1", "0" * 32)
        work.commit()
    return world.client(Scope.REVIEW)


def test_the_summary_names_what_it_counted(client: Any) -> None:
    body = client.get("/v1/data/summary").json()
    assert body["images"]["basis"] == {"words": "all 4 images", "n_looked_at": 4, "is_exact": True}
    assert body["images"]["by_status"] == {"active": 3, "excluded_leak": 1, "forgotten": 0}
    assert body["images"]["sizes"] == [{"size": "640 x 480", "n_images": 4}]
    assert body["labels"]["by_split"]["train"]["boxes"] == {"dent": 1}
    assert body["boxes"]["by_class"]["dent"]["n_boxes"] == 1
    assert (body["snapshot_id"], body["quarantined"]) == (None, {"truncated": 1})


def test_near_duplicates_come_with_what_was_left_out_first(client: Any) -> None:
    (group,) = client.get("/v1/duplicates").json()["items"]
    assert (group["name"], group["n_images"], group["n_excluded"]) == ("vehicle-2", 2, 1)
    assert [(image["id"], image["status"]) for image in group["images"]] == [(3, "excluded_leak"), (2, "active")]


def test_refused_files_are_found_by_code(client: Any) -> None:
    assert client.get("/v1/quarantine", params={"code": "empty"}).json()["items"] == []
    (file,) = client.get("/v1/quarantine", params={"code": "truncated"}).json()["items"]
    assert file["file"] == "broken.jpg"


def test_a_map_gives_as_many_points_as_asked_for_and_tells_of_the_rest(client: Any) -> None:
    body = client.get("/v1/embedding-map", params={"source": "1", "max_points": 2}).json()
    assert body["n_points"] == 4
    # The image that was left out is drawn of, and not shown.
    assert len(body["points"]) in (1, 2)


def test_an_outline_holds_what_lies_in_it(client: Any) -> None:
    found = client.post("/v1/embedding-map/inside", json={**UPPER_RIGHT, "source": "1"}).json()
    # Image 3 lies there too, and is out of the data.
    assert (found["n_inside"], [point["image_id"] for point in found["points"]]) == (2, [2])
    too_few = {"outline": [[0, 0], [1, 1]], "source": "1"}
    assert client.post("/v1/embedding-map/inside", json=too_few).status_code == 422


def test_the_data_is_for_reviewers(world: ApiWorld) -> None:
    client = world.client(Scope.PREDICT)
    for path in ("/v1/data/summary", "/v1/duplicates"):
        assert client.get(path).status_code == 403


def test_tiles_come_in_the_order_asked_for_without_those_that_are_not_there(client: Any) -> None:
    found = client.get("/v1/image-tiles", params={"image_id": [4, 99, 1, 4]}).json()
    assert [item["id"] for item in found] == [4, 1]
    assert found[1]["annotation"]["boxes"][0]["damage_class"] == "dent"
    assert client.get("/v1/image-tiles").status_code == 422
