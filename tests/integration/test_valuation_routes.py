"""Valuations and remarks over HTTP: the promised form, the same answer for ever, and refusals with their codes."""

from __future__ import annotations

import json
import uuid
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from damageloop.domain.geometry import Box
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Detection
from damageloop.params import Params
from damageloop.services.serving.replay_valuations import ReplayValuations
from tests.fakes.detector import FakeDetector
from tests.integration.api_world import ApiWorld, images, make_photo
from tests.integration.test_api import check_problem

SCRATCH = Detection("scratch", 0.87, Box(10.0, 20.0, 110.0, 90.0))
ASKED = {"base_price": "18500.00", "currency": "EUR"}


@pytest.fixture
def client(world: ApiWorld) -> TestClient:
    # 100 x 70 px of 320 x 240: 0.0911 of the photo, severe.
    world.detector = FakeDetector(detections=[SCRATCH])
    world.promote()
    return world.client(Scope.PREDICT)


def other_photo(number: int) -> bytes:
    return make_photo((320 + number, 240))


def form(*photos: bytes, **fields: Any) -> dict[str, Any]:
    return {"files": images(*photos), "data": {**ASKED, **fields}}


def changed(params: Params, **valuation: Any) -> Params:
    content = {**params.valuation.model_dump(mode="json"), **valuation}
    return params.model_copy(update={"valuation": type(params.valuation).model_validate(content)})


def test_a_valuation_has_the_promised_form_and_is_given_again_exactly(client: TestClient, world: ApiWorld) -> None:
    response = client.post("/v1/valuations", **form(make_photo()))
    assert response.status_code == 200, response.text
    assert response.headers["x-damageloop-model-version"] == "1"
    answer = response.json()
    cost = {"low": "250.00", "expected": "600.00", "high": "1200.00"}
    severe = world.params.valuation.costs["scratch"].severe
    assert [severe.low, severe.expected, severe.high] == [250, 600, 1200], "the example costs changed"
    assert answer["deductions"] == [
        {
            "damage_class": "scratch",
            "severity": "severe",
            "images": [0],
            "cost": cost,
            "rule": "valuation.costs.scratch.severe",
            "same_damage_probability": None,
        }
    ]
    # The low price also gives up 2 % of the base price for what the photo may hide.
    assert answer["adjusted_price"] == {"low": "16930.00", "expected": "17900.00", "high": "18250.00"}
    assert (answer["currency"], answer["base_price"], answer["outcome"]) == ("EUR", "18500.00", "damaged")
    assert (answer["valuation_version"], answer["model_version"]) == ("1", "1")
    assert answer["explanation"] == "One severe scratch lowers the price by EUR 600 (250 to 1,570)."
    again = client.get(f"/v1/valuations/{answer['valuation_id']}")
    assert again.json() == answer
    assert again.headers["x-damageloop-model-version"] == "1"
    assert client.get(f"/v1/predictions/{answer['request_ids'][0]}").json()["outcome"] == "damaged"


def test_the_same_request_gets_the_same_answer_and_another_price_another(client: TestClient) -> None:
    first, second = (client.post("/v1/valuations", **form(make_photo())).json() for _ in range(2))
    assert first == second
    dearer = client.post("/v1/valuations", **form(make_photo(), base_price="18500.01")).json()
    assert dearer["valuation_id"] != first["valuation_id"]
    older = client.post("/v1/valuations", **form(make_photo(), first_registration="2001", mileage_km="1")).json()
    # Half from 15 years on.
    assert older["deductions"][0]["cost"]["expected"] == "300.00"


def test_earlier_requests_are_valued_together(client: TestClient) -> None:
    ids = [client.post("/v1/predictions", files=images(other_photo(n))).json()["request_id"] for n in range(2)]
    vehicle = {"first_registration": 2024, "mileage_km": None}
    asked = {"request_ids": ids, **ASKED, "vehicle": vehicle}
    answer = client.post("/v1/valuations", json=asked).json()
    assert answer["request_ids"] == ids
    # The fake detector tells no features, so nothing is known to be the same.
    assert sorted(each["images"] for each in answer["deductions"]) == [[0], [1]]
    assert client.post("/v1/valuations", json=asked).json() == answer
    turned = client.post("/v1/valuations", json={**asked, "request_ids": ids[::-1]}).json()
    assert turned["valuation_id"] != answer["valuation_id"]
    assert turned["adjusted_price"] == answer["adjusted_price"]


def test_money_of_json_never_becomes_a_float(client: TestClient) -> None:
    request_id = client.post("/v1/predictions", files=images(make_photo())).json()["request_id"]
    body = f'{{"request_ids": ["{request_id}"], "currency": "EUR", "base_price": 123456789012.10}}'
    answer = client.post("/v1/valuations", content=body, headers={"content-type": "application/json"}).json()
    assert answer["base_price"] == "123456789012.10"


def test_changed_rules_are_the_next_version_and_the_old_one_replays(client: TestClient, world: ApiWorld) -> None:
    before = client.post("/v1/valuations", **form(make_photo())).json()
    twice = {"low": 500, "expected": 1200, "high": 2400}
    costs = world.params.valuation.model_dump(mode="json")["costs"]
    world.params = changed(world.params, costs={**costs, "scratch": {**costs["scratch"], "severe": twice}})
    after = client.post("/v1/valuations", **form(make_photo())).json()
    assert (before["valuation_version"], after["valuation_version"]) == ("1", "2")
    assert after["adjusted_price"]["expected"] == "17300.00"
    assert client.get(f"/v1/valuations/{before['valuation_id']}").json() == before
    for answer in (before, after):
        replayed = ReplayValuations(world.units)(answer["valuation_id"])
        assert replayed.recomputed == answer
        assert not replayed.differs
    assert len(list(ReplayValuations(world.units).newest(10))) == 2


def test_rules_that_come_back_are_the_version_they_were(client: TestClient, world: ApiWorld) -> None:
    first = client.post("/v1/valuations", **form(make_photo())).json()
    rules = world.params
    world.params = changed(rules, reference_year=2030)
    client.post("/v1/valuations", **form(make_photo()))
    world.params = rules
    assert client.post("/v1/valuations", **form(make_photo())).json() == first


def test_another_severity_is_another_version_too(client: TestClient, world: ApiWorld) -> None:
    client.post("/v1/valuations", **form(make_photo()))
    rule = {"scratch": {"moderate_from": 0.5, "severe_from": 0.9}}
    serving = type(world.params.serving).model_validate({**world.params.serving.model_dump(), "severity": rule})
    world.params = world.params.model_copy(update={"serving": serving})
    answer = client.post("/v1/valuations", **form(make_photo())).json()
    assert (answer["valuation_version"], answer["deductions"][0]["severity"]) == ("2", "minor")


def test_a_damage_in_two_photos_counts_once_when_its_features_say_so(world: ApiWorld) -> None:
    features = np.full((1, 4), 0.5, dtype=np.float32)
    world.detector = FakeDetector(detections=[SCRATCH], box_features=features)
    world.promote()
    answer = world.client(Scope.PREDICT).post("/v1/valuations", **form(other_photo(0), other_photo(1))).json()
    (deduction,) = answer["deductions"]
    assert deduction["images"] == [0, 1]
    # -14.2 + 16.7: all alike, and almost at one place.
    assert deduction["same_damage_probability"] == pytest.approx(0.924, abs=0.002)


BAD_FIELDS = [
    ({"currency": "XXX"}, "unknown_currency", "known: EUR, USD"),
    ({"currency": "eur"}, "invalid_input", "three capital letters"),
    ({"base_price": "NaN"}, "invalid_input", "positive decimal number"),
    ({"base_price": "-1"}, "invalid_input", "positive decimal number"),
    ({"base_price": "1.005"}, "invalid_input", "2 digits after the point"),
    ({"first_registration": "1899"}, "invalid_input", "1900 to 2100"),
    ({"first_registration": "2020-05-01"}, "invalid_input", "a year, such as 2019"),
    ({"mileage_km": "far"}, "invalid_input", "whole number"),
    ({"mileage_km": "-1"}, "invalid_input", "0 to 10,000,000"),
    ({"colour": "red"}, "invalid_input", "'colour' is unknown"),
    ({"millage_km": "1"}, "invalid_input", "mileage_km"),
]
BAD_DOCUMENTS = [
    b"",
    b"[]",
    b"null",
    b"\xff",
    b'{"request_ids": []',
    b"[" * 100_00,
    json.dumps({"request_ids": "x", **ASKED}).encode(),
    json.dumps({"request_ids": [], **ASKED}).encode(),
    json.dumps({"request_ids": ["../etc"], **ASKED}).encode(),
    json.dumps({"request_ids": ["a"], **ASKED, "vehicle": []}).encode(),
    json.dumps({"request_ids": ["a"], **ASKED, "vehicle": {"mileage_km": True}}).encode(),
    json.dumps({"request_ids": ["a"], **ASKED, "vehicle": {"mileage_km": 1.5}}).encode(),
    json.dumps({"request_ids": ["a"], **ASKED, "extra": 1}).encode(),
    json.dumps({"request_ids": ["a"] * 17, **ASKED}).encode(),
    json.dumps({"request_ids": ["a", "a"], **ASKED}).encode(),
    json.dumps({"request_ids": ["a"], "currency": "EUR", "base_price": True}).encode(),
    b'{"request_ids": ["a"], "currency": "EUR", "base_price": NaN}',
    b'{"request_ids": ["a"], "currency": "EUR", "base_price": 1e999999999}',
    b'{"request_ids": ["a"], "currency": "EUR", "base_price": 1, "base_price": 2}',
    b'{"request_ids": ["a"], "currency": "EUR", "base_price": "1", "vehicle": {"mileage_km": 1' + b"0" * 5000 + b"}}",
    b'{"request_ids": ["\\ud800"], "currency": "\\ud800", "base_price": "1"}',
]


def test_fields_that_can_not_be_meant_are_refused_before_the_model_works(client: TestClient) -> None:
    for fields, code, sentence in BAD_FIELDS:
        problem = check_problem(client.post("/v1/valuations", **form(make_photo(), **fields)), 422, code)
        assert sentence in str(problem["detail"])


def test_a_document_that_is_not_as_agreed_is_refused(client: TestClient) -> None:
    for body in BAD_DOCUMENTS:
        headers = {"content-type": "application/json"}
        check_problem(client.post("/v1/valuations", content=body, headers=headers), 422, "invalid_input")


def test_a_body_of_another_kind_is_refused(client: TestClient) -> None:
    check_problem(client.post("/v1/valuations", content=b"x"), 422, "invalid_input")


def test_unknown_requests_and_valuations_are_not_found(client: TestClient) -> None:
    unknown = str(uuid.UUID(int=7))
    check_problem(client.post("/v1/valuations", json={"request_ids": [unknown], **ASKED}), 404, "not_found")
    check_problem(client.get(f"/v1/valuations/{unknown}"), 404, "not_found")


def test_answers_of_two_models_are_not_valued_together(client: TestClient, world: ApiWorld) -> None:
    first = client.post("/v1/predictions", files=images(make_photo())).json()["request_id"]
    world.promote(2)
    second = client.post("/v1/predictions", files=images(make_photo())).json()["request_id"]
    response = client.post("/v1/valuations", json={"request_ids": [first, second], **ASKED})
    check_problem(response, 409, "model_versions_differ")


def test_photos_that_can_not_be_judged_are_refused_by_their_code(client: TestClient) -> None:
    check_problem(client.post("/v1/valuations", **form(make_photo((40, 30)))), 422, "unusable_image")
    check_problem(client.post("/v1/valuations", **form(b"no photo")), 422, "no_readable_image")


def test_a_request_with_an_idempotency_key_is_answered_once(client: TestClient) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post("/v1/valuations", **form(make_photo()), headers=headers)
    second = client.post("/v1/valuations", **form(make_photo()), headers=headers)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    other = client.post("/v1/valuations", **form(make_photo(), base_price="1.00"), headers=headers)
    check_problem(other, 422, "idempotency_key_reused")


# --- feedback --------------------------------------------------------------------------------------------------


def test_a_remark_is_kept_once_and_read_by_reviewers(client: TestClient, world: ApiWorld) -> None:
    answer = client.post("/v1/valuations", **form(make_photo())).json()
    remark = {"request_id": answer["request_ids"][0], "kind": "missed", "note": "A dent,\nabove the wheel."}
    first, second = (client.post("/v1/feedback", json=remark) for _ in range(2))
    assert (first.status_code, first.json()["model_version"]) == (201, "1")
    assert second.json() == first.json()
    of_price = {"request_id": answer["valuation_id"], "kind": "wrong_price"}
    assert client.post("/v1/feedback", json=of_price).json()["note"] == ""
    reviewer = world.client(Scope.REVIEW)
    page = reviewer.get("/v1/feedback", params={"limit": 1}).json()
    assert page["items"] == [first.json()]
    rest = reviewer.get("/v1/feedback", params={"after": page["next_after"]}).json()
    assert ([each["kind"] for each in rest["items"]], rest["next_after"]) == (["wrong_price"], None)
    assert client.get("/v1/feedback").status_code == 403


def test_a_remark_about_nothing_or_of_an_unknown_kind_is_refused(client: TestClient) -> None:
    request_id = client.post("/v1/predictions", files=images(make_photo())).json()["request_id"]
    unknown = {"request_id": str(uuid.UUID(int=7)), "kind": "missed", "note": ""}
    check_problem(client.post("/v1/feedback", json=unknown), 404, "not_found")
    for change in ({"kind": "bad"}, {"note": "x" * 2001}, {"note": "\x00"}, {"note": "\ud800"}, {"extra": 1}):
        body = json.dumps({"request_id": request_id, "kind": "missed", **change})
        response = client.post("/v1/feedback", content=body, headers={"content-type": "application/json"})
        check_problem(response, 422, "invalid_input")


def test_an_unknown_key_of_a_document_is_named(client: TestClient) -> None:
    response = client.post("/v1/valuations", json={"request_ids": ["a"], **ASKED, "milage\n" + "e" * 99: 1})
    assert "'milage_eee" in str(check_problem(response, 422, "invalid_input")["detail"])
    assert len(response.json()["detail"]) < 160


def test_a_document_may_not_be_as_large_as_photos(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    check_problem(client.post("/v1/valuations", content=b" " * 64_001, headers=headers), 413, "request_too_large")


def test_a_note_may_hold_whatever_people_write(client: TestClient) -> None:
    request_id = client.post("/v1/predictions", files=images(make_photo())).json()["request_id"]
    remark = {"request_id": request_id, "kind": "missed"}
    note = "first line\r\nsecond\u00a0line \N{WOMAN}\u200d\N{PERSONAL COMPUTER}"
    answer = client.post("/v1/feedback", json={**remark, "note": note})
    assert (answer.status_code, answer.json()["note"]) == (201, note)
    check_problem(client.post("/v1/feedback", json={**remark, "note": "a\x00b"}), 422, "invalid_input")


@pytest.mark.parametrize(
    ("body", "content_type", "sentence"),
    [
        (b"{", "application/json", "body: This is no valid JSON document"),
        (b"{}", "text/plain", "header Content-Type: application/json"),
    ],
)
def test_what_is_no_json_is_told_how_to_become_it(
    client: TestClient, body: bytes, content_type: str, sentence: str
) -> None:
    response = client.post("/v1/feedback", content=body, headers={"content-type": content_type})
    assert sentence in str(check_problem(response, 422, "invalid_input")["detail"])
