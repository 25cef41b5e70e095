"""Asking for trainings and audits, and trying jobs again, over HTTP."""

from __future__ import annotations

from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.domain.key import Scope
from tests.factories import MOMENT
from tests.integration.api_world import ApiWorld


def test_wishes_are_asked_listed_and_withdrawn_over_http(world: ApiWorld) -> None:
    client = world.client(Scope.REVIEW)
    made = client.post("/v1/triggers", json={"kind": "audit", "reason": "new cameras"})
    assert made.status_code == 202
    assert (made.json()["origin"], made.json()["asked_by"], made.json()["outcome"]) == ("person", "test", None)
    client.post("/v1/triggers", json={"kind": "training", "reason": "new cameras"})
    page = client.get("/v1/triggers", params={"limit": 1}).json()
    assert [item["kind"] for item in page["items"]] == ["training"]
    rest = client.get("/v1/triggers", params={"limit": 1, "after": page["next_after"]}).json()
    assert ([item["kind"] for item in rest["items"]], rest["next_after"]) == (["audit"], None)
    gone = client.delete(f"/v1/triggers/{made.json()['id']}")
    assert gone.json()["outcome"] == "withdrawn by test"
    assert client.delete(f"/v1/triggers/{made.json()['id']}").status_code == 409
    assert client.post("/v1/triggers", json={"kind": "lunch", "reason": "noon"}).status_code == 422
    assert len(world.nudges) == 2


def test_a_key_that_may_not_review_asks_for_nothing(world: ApiWorld) -> None:
    client = world.client(Scope.PREDICT)
    assert client.post("/v1/triggers", json={"kind": "audit", "reason": "no"}).status_code == 403
    assert client.post("/v1/jobs/1/retry").status_code == 403


def test_a_failed_job_is_tried_again_and_one_that_waits_is_not(world: ApiWorld) -> None:
    client = world.client(Scope.REVIEW)
    request = JobRequest(JobKind.PROMOTE, "promote:v2", {"model_version": 2}, "promotion")
    with world.units() as work:
        job = work.jobs.request(request, MOMENT)
        work.jobs.begin(job.id, MOMENT, MOMENT)
        work.jobs.finish(job.id, 1, JobState.FAILED, MOMENT, None, "The release is damaged.")
        work.commit()
    answer = client.post(f"/v1/jobs/{job.id}/retry")
    assert answer.status_code == 202
    new = answer.json()
    assert (new["parent_id"], new["key"], new["flight"]) == (job.id, "promote:v2", "promotion")
    assert (new["inputs"], new["state"]) == ({"model_version": 2}, "queued")
    assert world.queue.sent == [(new["id"], "default")]
    assert client.post(f"/v1/jobs/{new['id']}/retry").status_code == 409
    assert client.post("/v1/jobs/999/retry").status_code == 404
