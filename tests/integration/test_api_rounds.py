"""Rounds and requests over HTTP: who may ask, what is answered, and what the problems say."""

from __future__ import annotations

import pytest

from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.split import Split
from tests.factories import MOMENT, add_image, make_annotation, make_item
from tests.integration.api_world import ApiWorld
from tests.integration.test_api import check_problem


def fill(world: ApiWorld) -> None:
    """Images 1 to 3 are in open round 1, the first of them reviewed by two people; 4 and 5 wait."""
    world.promote()
    with world.units() as work:
        images = [add_image(work, number, Split.TRAIN) for number in range(1, 6)]
        items = [make_item(1, 0), make_item(2, 1, Share.EXPLORED), make_item(3, 2)]
        work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 8, MOMENT, items, "a note")
        work.rounds.set_tasks(1, {1: 11, 2: 12, 3: 13})
        work.rounds.set_state(1, RoundState.OPEN, MOMENT)
        work.rounds.set_item_states(1, [1], ItemState.REVIEWED)
        work.annotations.upsert(make_annotation(1))
        work.predictions.add_many([Prediction(image.id, 1, (), 0.1) for image in images], MOMENT)
        work.commit()


def test_a_round_shows_its_items_by_share_and_who_did_what(world: ApiWorld) -> None:
    fill(world)
    answer = world.client(Scope.REVIEW).get("/v1/rounds/1").json()
    assert answer["round"]["note"] == "a note"
    assert (answer["round"]["strategy"], answer["round"]["seed"]) == ("entropy", 8)
    assert answer["by_state"] == {"reviewed": 1, "sent": 2}
    assert answer["by_share"] == {"chosen": {"reviewed": 1, "sent": 1}, "explored": {"sent": 1}}
    assert answer["annotators"] == [{"annotator": "ann@example.org", "reviewed": 1, "median_seconds": 12.5}]
    assert answer["expected_seconds"] is None
    check_problem(world.client(Scope.REVIEW).get("/v1/rounds/9"), 404, "not_found")


def test_a_round_is_asked_for_once_at_a_time(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    response = client.post("/v1/rounds", json={"strategy": "coreset", "query_size": 2})
    assert response.status_code == 202
    assert (response.json()["key"], response.json()["state"]) == ("open_round:2:asked", "queued")
    assert [queue for _, queue in world.queue.sent] == ["default"]
    with world.units(read_only=True) as work:
        (job,) = work.jobs.active()
    assert (job.inputs["strategy"], job.inputs["query_size"], job.inputs["asked_by"]) == ("coreset", 2, "test")
    problem = check_problem(client.post("/v1/rounds"), 409, "conflict")
    assert problem["detail"] == "A round is being opened; ask again when it is open."


def test_a_round_needs_no_body_and_no_unknown_wish(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    check_problem(client.post("/v1/rounds", json={"size": 3}), 422, "invalid_input")
    check_problem(client.post("/v1/rounds", json={"strategy": "best"}), 422, "invalid_input")
    check_problem(client.post("/v1/rounds", json={"image_ids": [4, 99]}), 404, "not_found")
    check_problem(client.post("/v1/rounds", json={"image_ids": [1]}), 409, "conflict")
    assert client.post("/v1/rounds").status_code == 202


def test_with_every_image_before_a_human_no_round_opens(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    for number in (4, 5):
        with world.units() as work:
            work.annotations.upsert(make_annotation(number, external_id=str(number)))
            work.commit()
    problem = check_problem(client.post("/v1/rounds"), 409, "conflict")
    assert problem["detail"] == "Every image has been put before a human; import new photos first."


def test_closing_a_round_twice_is_one_job(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    first, second = (client.post("/v1/rounds/1/close") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert first.json()["key"] == "close_round:1"
    check_problem(client.post("/v1/rounds/9/close"), 404, "not_found")


def test_images_are_pinned_skipped_and_sent_back_by_the_name_of_the_key(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    pinned = client.post("/v1/images/4/pin", json={"reason": "a new bumper"})
    assert pinned.status_code == 200, pinned.text
    answer = pinned.json()
    assert (answer["kind"], answer["origin"], answer["asked_by"]) == ("pin", "person", "test")
    assert client.post("/v1/images/4/pin", json={"reason": "again"}).json() == answer
    assert client.post("/v1/images/5/skip", json={"reason": "a screenshot"}).json()["kind"] == "skip"
    assert client.post("/v1/images/1/send-back", json={"reason": "a reflection"}).json()["kind"] == "send_back"
    assert len(world.nudges) == 3
    asked = client.post("/v1/images/1/second-opinion", json={"reason": "an odd one"}).json()
    assert (asked["kind"], asked["state"], asked["task_id"], asked["asked_by"]) == ("opinion", "pending", None, "test")
    assert client.get("/v1/images/1").json()["second_opinions"] == [asked]
    check_problem(client.post("/v1/images/4/second-opinion", json={"reason": "x"}), 409, "conflict")
    check_problem(client.post("/v1/images/1/pin", json={"reason": "x"}), 409, "conflict")
    check_problem(client.post("/v1/images/4/send-back", json={"reason": "x"}), 409, "conflict")
    check_problem(client.post("/v1/images/99/skip", json={"reason": "x"}), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/v1/rounds", "/v1/rounds/1/close", "/v1/images/4/pin", "/v1/images/4/second-opinion"]
)
def test_only_a_reviewer_may_ask(world: ApiWorld, path: str) -> None:
    fill(world)
    check_problem(world.client(Scope.PREDICT).post(path, json={"reason": "x"}), 403, "missing_scope")


def test_a_request_without_a_reason_is_refused(world: ApiWorld) -> None:
    fill(world)
    for body in ({}, {"reason": ""}, {"reason": "x" * 501}, {"reason": "x", "who": "me"}):
        check_problem(world.client(Scope.REVIEW).post("/v1/images/4/pin", json=body), 422, "invalid_input")


def test_what_the_check_of_empty_submits_sent_back_is_told_as_a_check_of_labels(world: ApiWorld) -> None:
    fill(world)
    with world.units() as work:
        work.image_requests.add(1, RequestKind.SEND_BACK, RequestOrigin.BLANK, "nothing drawn", "check", MOMENT)
        work.commit()
    # Strict clients of the first release know no other origin.
    answer = world.client(Scope.REVIEW).post("/v1/images/1/send-back", json={"reason": "x"})
    assert (answer.status_code, answer.json()["origin"]) == (200, "label_check")
