"""Images by filters and the subsets made of them, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from damageloop.domain.key import Scope
from damageloop.domain.prediction import Prediction
from damageloop.domain.split import Split
from tests.factories import MOMENT, add_image, make_annotation, make_detection
from tests.integration.api_world import ApiWorld
from tests.integration.databases import BOTH
from tests.integration.test_api import check_problem

HELD_OUT = {3: Split.VAL, 6: Split.TEST}


@pytest.fixture(name="client")
def client_(world: ApiWorld) -> Any:
    """Images 1 to 7, all scored 0.1, 0.2 and so on by the champion; 3 is of val, 6 of test, 1 is dented."""
    world.promote()
    with world.units() as work:
        for number in range(1, 8):
            add_image(work, number, HELD_OUT.get(number, Split.TRAIN))
        work.annotations.upsert(make_annotation(1))
        scored = [Prediction(n, 1, (make_detection(n / 10),), n / 10) for n in range(1, 8)]
        work.predictions.add_many(scored, MOMENT)
        work.commit()
    return world.client(Scope.REVIEW)


def every_page(client: Any, **params: Any) -> list[int]:
    found: list[int] = []
    after: str | None = None
    # One page more than there can be: an endless list fails here.
    for _ in range(8):
        sent = params | ({"after": after} if after is not None else {})
        page = client.get("/v1/images", params=sent).json()
        found += [item["id"] for item in page["items"]]
        after = page["next_after"]
        if after is None:
            return found
    raise AssertionError("The pages do not end.")


def test_pages_lead_to_the_end_in_every_order(client: Any) -> None:
    # 7 images in pages of 2 end on a short page, in pages of 7 on a full one.
    for limit in (1, 2, 7):
        assert every_page(client, limit=limit) == [7, 6, 5, 4, 3, 2, 1]
        assert every_page(client, limit=limit, order="brightness") == [1, 2, 3, 4, 5, 6, 7]
        assert every_page(client, limit=limit, order="score") == [7, 5, 4, 2, 1]


def test_filters_narrow_the_list_and_the_count_alike(client: Any) -> None:
    for params, expected in (
        ({"is_labeled": True}, [1]),
        ({"damage_class": "dent"}, [1]),
        ({"vehicle": "vehicle-4"}, [4]),
        ({"split": "test"}, [6]),
        ({"min_score": 0.2, "max_score": 0.6}, [5, 4, 2]),
        ({"split": "val", "min_score": 0.0}, []),
        ({"predicted_class": "dent", "min_score": 0.45, "is_labeled": False}, [7, 5]),
        ({"min_brightness": 121}, []),
    ):
        assert every_page(client, **params) == expected, params
        counted = client.get("/v1/images/count", params=params).json()
        assert counted == {"count": len(expected), "is_more": False}, params


def test_what_the_champion_says_of_held_out_images_is_not_told(client: Any) -> None:
    for item in client.get("/v1/images").json()["items"]:
        is_told = (item["detections"] is not None, item["top_score"] is not None)
        assert is_told == (item["id"] not in HELD_OUT,) * 2


@pytest.mark.parametrize(
    "params",
    [
        {"split": "training"},
        {"order": "best"},
        {"order": "rank"},
        {"limit": 201},
        {"min_score": "nan"},
        {"min_score": 0.6, "max_score": 0.5},
        {"min_brightness": 20, "max_brightness": 10},
        {"after": "7", "order": "score"},
        # The place ["score", 0, Infinity].
        {"after": "WyJzY29yZSIsIDAsIEluZmluaXR5XQ", "order": "score"},
    ],
)
def test_a_filter_or_a_place_that_can_not_be_is_refused(client: Any, params: dict[str, Any]) -> None:
    check_problem(client.get("/v1/images", params=params), 422, "invalid_input")
    if "after" not in params and "limit" not in params:
        check_problem(client.get("/v1/images/count", params=params), 422, "invalid_input")


def test_unknown_rounds_and_subsets_are_not_found_and_the_gallery_is_for_reviewers(
    client: Any, world: ApiWorld
) -> None:
    for path in ("/v1/images", "/v1/images/count"):
        for params in ({"round_id": 9}, {"subset_id": 9}):
            check_problem(client.get(path, params=params), 404, "not_found")
        check_problem(world.client(Scope.PREDICT).get(path), 403, "missing_scope")


def test_a_subset_is_renewed_by_its_filter_and_by_nothing_else(client: Any, world: ApiWorld) -> None:
    wanted = {"name": "dents", "query": {"damage_class": "dent"}}
    made = client.post("/v1/subsets", json=wanted).json()
    assert made["image_ids"] == [1]
    with world.units() as work:
        work.annotations.upsert(make_annotation(4, "4"))
        work.commit()
    assert client.get(f"/v1/subsets/{made['id']}").json()["image_ids"] == [1]
    renewed = client.post(f"/v1/subsets/{made['id']}/renew").json()
    assert (renewed["n_images"], renewed["query"]["damage_class"]) == (2, "dent")
    assert every_page(client, subset_id=made["id"]) == [4, 1]
    named = client.post("/v1/subsets", json={"name": "two", "image_ids": [2, 5]}).json()
    check_problem(client.post(f"/v1/subsets/{named['id']}/renew"), 409, "conflict")
    check_problem(client.post("/v1/subsets/99/renew"), 404, "not_found")
    check_problem(world.client(Scope.PREDICT).post(f"/v1/subsets/{made['id']}/renew"), 403, "missing_scope")


@pytest.mark.parametrize("database", BOTH, indirect=True)
def test_a_name_with_a_character_that_no_database_keeps_is_no_error_of_ours(client: Any) -> None:
    for name in ("vehicle", "damage_class", "predicted_class"):
        assert client.get("/v1/images", params={name: "a\x00b"}).status_code in {200, 422}, name
    response = client.post("/v1/subsets", json={"name": "odd", "query": {"vehicle": "a\x00b"}})
    assert response.status_code in {201, 422}
