"""Drift over HTTP: what is served is remembered, looks are asked for, reports and events are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.drift.event import DriftState, Step, StepName
from damageloop.domain.image import Origin
from damageloop.domain.key import Scope
from tests.factories import MOMENT, make_served
from tests.integration.api_world import ApiWorld, make_photo
from tests.integration.test_served_images import EVENT, REPORT


def test_an_answer_leaves_the_numbers_of_its_photos(world: ApiWorld) -> None:
    world.promote(1)
    with world.client(Scope.PREDICT) as client:
        files = [("images", ("a.jpg", make_photo())), ("images", ("b.jpg", b"broken"))]
        answer = client.post("/v1/predictions", files=files).json()
    with world.units(read_only=True) as work:
        (served,) = work.served_images.of_requests([answer["request_id"]])
    assert served.position == 0
    assert served.size_wh == (320, 240)
    assert served.model_version == 1
    assert served.api_key_id is not None
    assert served.outcome.value == answer["images"][0]["outcome"]
    assert served.quality.brightness == pytest.approx(answer["images"][0]["quality"]["brightness"], abs=0.1)
    assert served.quality.noise is not None
    assert served.latency_ms > 0.0
    assert served.embedding is not None


def test_photos_are_kept_only_where_it_was_asked_for(world: ApiWorld) -> None:
    world.promote(1)
    files = {"images": ("a.jpg", make_photo())}
    with world.client(Scope.PREDICT) as client:
        client.post("/v1/predictions", files=files, data={"vehicle_id": "car-1"})
        with world.units(read_only=True) as work:
            assert work.production_photos.n_waiting() == 0
        production = world.params.production.model_copy(update={"share": 1.0})
        world.params = world.params.model_copy(update={"production": production})
        client.post("/v1/predictions", files=files, data={"vehicle_id": "car-1"})
    with world.units(read_only=True) as work:
        (kept,) = work.production_photos.waiting(10)
    assert kept.vehicle == "car-1"
    assert world.production_store.read(kept.store_key) == make_photo()
    assert Origin.PRODUCTION.value == "production"


def test_before_any_model_there_is_nothing_to_tell(world: ApiWorld) -> None:
    with world.client(Scope.REVIEW) as client:
        found = client.get("/v1/drift").json()
        assert (found["champion"], found["report"], found["event"], found["n_served"]) == (None, None, None, 0)
        assert found["reference"]["kind"] == "random"
        refused = client.post("/v1/drift/check")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert client.get("/v1/drift/reports").json() == {"items": [], "next_after": None}
        assert client.get("/v1/drift/events/1").status_code == 404
        assert client.get("/v1/drift/reports/1").status_code == 404


def test_reports_and_events_are_told_with_their_steps(world: ApiWorld) -> None:
    world.promote(1)
    with world.units() as work:
        report = work.drift.add_report(replace(REPORT, model_version=1))
        event = work.drift.add_event(replace(EVENT, model_version=1, report_id=report.id))
        work.drift.set_event(report.id, event.id)
        work.drift.add_step(event.id, Step(StepName.PHOTOS, MOMENT, "60 photos were asked for", {"images": [1]}))
        work.drift.add_report(replace(REPORT, model_version=1, state=DriftState.ACCEPTABLE))
        work.served_images.add_many([make_served()])
        work.commit()
    with world.client(Scope.REVIEW) as client:
        found = client.get("/v1/drift").json()
        assert (found["champion"], found["n_served"]) == ("1", 1)
        assert found["report"]["state"] == "acceptable"
        assert found["event"]["bounds"] == {"brightness": [70.5, None]}
        assert found["event"]["steps"][0]["name"] == "photos"
        page = client.get("/v1/drift/reports", params={"limit": 1}).json()
        assert [item["state"] for item in page["items"]] == ["acceptable"]
        rest = client.get("/v1/drift/reports", params={"after": page["next_after"]}).json()
        assert [item["event_id"] for item in rest["items"]] == [event.id]
        assert client.get(f"/v1/drift/reports/{report.id}").json()["columns"][0]["words"] == "brightness fell"
        assert client.get("/v1/drift/events").json()["items"][0]["id"] == event.id
        assert client.get(f"/v1/drift/events/{event.id}").json()["kinds"] == ["dark"]


def test_a_look_is_a_job_and_a_reference_is_confirmed_by_a_person(world: ApiWorld) -> None:
    world.promote(1)
    with world.client(Scope.REVIEW) as client:
        job = client.post("/v1/drift/check")
        assert job.status_code == 202
        assert job.json()["kind"] == "check_drift"
        assert client.post("/v1/drift/check").json()["id"] == job.json()["id"]
        refused = client.put("/v1/drift/reference", json={"n_images": 150})
        assert refused.status_code == 409
        assert "has answered 0 different photos; 150 are needed" in refused.json()["detail"]
        assert client.put("/v1/drift/reference", json={"n_images": None}).json()["kind"] == "random"
    with world.client(Scope.PREDICT) as client:
        assert client.get("/v1/drift").status_code == 403
