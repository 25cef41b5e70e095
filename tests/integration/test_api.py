"""What clients of the API get: the answer's form, pages, problems, and one version for each answer."""

from __future__ import annotations

import json

import pytest
from httpx import Response

from damageloop.domain.image import QuarantinedFile
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.domain.key import Scope
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.round import RoundKind, Share
from damageloop.domain.snapshot import Snapshot
from damageloop.errors import UnavailableError
from damageloop.ports import RgbImage
from tests.factories import MOMENT, add_image, make_detection, make_item
from tests.fakes.detector import FakeDetector
from tests.integration.api_world import ApiWorld, images, make_photo


def check_problem(response: Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert all(word not in response.text for word in ("Traceback", "/srv", "sqlite"))
    return problem


# --- predictions -----------------------------------------------------------------------------------------------


def test_a_prediction_has_the_promised_form_and_is_given_again_exactly(world: ApiWorld) -> None:
    world.detector = FakeDetector(detections=[make_detection(0.87)])
    world.promote()
    client = world.client(Scope.PREDICT)
    files = [*images(make_photo(), make_photo(image_format="PNG"), b"no image"), ("vehicle_id", (None, "WVW 123"))]
    response = client.post("/v1/predictions", files=files)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert list(answer) == ["request_id", "model_version", "model_since", "outcome", "none_probability", "images"]
    assert (answer["model_version"], answer["outcome"]) == ("1", "damaged")
    first, _, broken = answer["images"]
    assert (first["filename"], first["width"], first["height"], first["error"]) == ("0.jpg", 320, 240, None)
    assert first["detections"][0]["box"] == {"x_min": 10.0, "y_min": 20.0, "x_max": 110.0, "y_max": 90.0}
    assert (broken["outcome"], broken["width"], broken["error"]["code"]) == (None, None, "not_an_image")
    assert client.get(f"/v1/predictions/{answer['request_id']}").json() == answer


def test_ids_sort_by_time(world: ApiWorld) -> None:
    world.promote()
    client = world.client(Scope.PREDICT)
    ids = [client.post("/v1/predictions", files=images(make_photo())).json()["request_id"] for _ in range(3)]
    assert ids == sorted(ids)
    assert all(request_id[14] == "7" for request_id in ids)


def test_a_promotion_changes_the_next_answer_and_no_earlier_one(world: ApiWorld) -> None:
    world.promote(1)
    client = world.client(Scope.PREDICT)
    before = client.post("/v1/predictions", files=images(make_photo())).json()
    world.promote(2)
    after = client.post("/v1/predictions", files=images(make_photo())).json()
    assert (before["model_version"], after["model_version"]) == ("1", "2")
    assert client.get(f"/v1/predictions/{before['request_id']}").json() == before
    assert client.get("/v1/models/champion").json()["model_version"] == "2"


def test_a_damaged_release_leaves_the_old_model_answering(world: ApiWorld) -> None:
    world.promote(1)
    damaged = world.folder / "releases" / "2"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("{}")
    with world.units() as work:
        version = work.models.allot("damaged", None, MOMENT)
        work.models.promote(version, 1, None, reason=work.models.promotions()[0].reason, now=MOMENT)
        work.commit()
    world.services.champion.refresh()
    client = world.client(Scope.PREDICT)
    assert client.post("/v1/predictions", files=images(make_photo())).json()["model_version"] == "1"
    ready = client.get("/v1/health/ready").json()
    degraded = ready.pop("degraded")
    assert ready == {"status": "ready", "champion": "1", "is_newest": False}
    assert degraded.startswith("File manifest.json of release 2 is damaged or missing")
    assert degraded.endswith("Version 1 answers in its place.")


def test_files_of_which_none_is_an_image_are_refused_one_by_one(world: ApiWorld) -> None:
    world.promote()
    response = world.client(Scope.PREDICT).post("/v1/predictions", files=images(b"", b"text", make_photo()[:400]))
    problem = check_problem(response, 422, "no_readable_image")
    codes = [image["error"]["code"] for image in problem["images"]]  # type: ignore[attr-defined]
    assert codes == ["empty", "not_an_image", "truncated"]


def test_a_small_photo_is_unusable_and_no_error(world: ApiWorld) -> None:
    world.promote()
    response = world.client(Scope.PREDICT).post("/v1/predictions", files=images(make_photo((40, 30))))
    assert response.json()["outcome"] == "unusable_image"
    assert response.json()["images"][0]["quality"]["flags"] == ["small"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("photos", ("a.jpg", b"x"))], "'photos' is unknown"),
        ([("images", (None, "text"))], "must be a file"),
        ([("vehicle_id", (None, "1"))], "has 0"),
        ([("vehicle_id", (None, "1")), ("vehicle_id", (None, "2")), *images(b"x")], "one text field"),
        (images(*[b"x"] * 17), "1 to 16 parts"),
    ],
)
def test_other_parts_than_agreed_are_refused_in_a_sentence(
    world: ApiWorld, files: list[tuple[str, object]], sentence: str
) -> None:
    world.promote()
    response = world.client(Scope.PREDICT).post("/v1/predictions", files=files)
    assert sentence in str(check_problem(response, 422, "invalid_input")["detail"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"--b\r\nnonsense"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n"),
        (
            "multipart/form-data; boundary=a; charset=nonsense",
            b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--a--\r\n',
        ),
    ],
)
def test_a_body_that_is_no_form_is_refused(world: ApiWorld, content_type: str, body: bytes) -> None:
    world.promote()
    response = world.client(Scope.PREDICT).post("/v1/predictions", content=body, headers={"content-type": content_type})
    check_problem(response, 422, "invalid_input")


def test_without_a_champion_clients_are_told_when_to_come_again(world: ApiWorld) -> None:
    client = world.client(Scope.PREDICT)
    for response in (client.post("/v1/predictions", files=images(make_photo())), client.get("/v1/models/champion")):
        check_problem(response, 503, "no_model")
        assert int(response.headers["retry-after"]) > 0
    assert client.get("/v1/health/ready").json()["champion"] is None


def test_an_outside_failure_is_503_without_its_details_and_a_bug_500(world: ApiWorld) -> None:
    failures: list[Exception] = []

    def fail(_image: RgbImage) -> None:
        if failures:
            raise failures.pop()

    world.detector = FakeDetector(before=fail)
    world.promote()
    client = world.client(Scope.PREDICT)
    failures.append(UnavailableError("/srv/secret/path does not answer."))
    response = client.post("/v1/predictions", files=images(make_photo()))
    check_problem(response, 503, "unavailable")
    assert "retry-after" in response.headers
    failures.append(ZeroDivisionError("a bug in /srv/secret"))
    check_problem(client.post("/v1/predictions", files=images(make_photo())), 500, "internal_error")


def test_an_unknown_request_and_an_unknown_route_are_not_found(world: ApiWorld) -> None:
    client = world.client()
    check_problem(client.get("/v1/predictions/0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77"), 404, "not_found")
    check_problem(client.get("/v1/nothing"), 404, "not_found")
    check_problem(client.delete("/v1/jobs"), 405, "method_not_allowed")


# --- operations ------------------------------------------------------------------------------------------------


def fill(world: ApiWorld) -> None:
    world.promote()
    with world.units() as work:
        for number in (1, 2, 3):
            add_image(work, number)
            work.images.quarantine(QuarantinedFile(f"{number}.txt", "not_an_image", "It is no image."), None)
        items = [make_item(3, 0), make_item(1, 1, Share.AUDITED), make_item(2, 2)]
        work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, MOMENT, items)
        work.snapshots.add(Snapshot(1, "snapshot-1", "c" * 40, "h", None, {}, "r", "l", "p", MOMENT), 0)
        work.models.add_decision(None, 1, DecisionKind.PROMOTE, ["Better."], {"map50": 0.1}, MOMENT)
        for number in (1, 2, 3):
            work.jobs.request(JobRequest(JobKind.PROMOTE, f"promote:{number}"), MOMENT)
        job = work.jobs.begin(1, MOMENT, MOMENT)
        assert job is not None
        work.jobs.finish(1, 1, JobState.FAILED, MOMENT, None, "File /srv/secret/place/model.bin broke.")
        work.commit()


def test_lists_are_read_page_by_page(world: ApiWorld) -> None:
    fill(world)
    client = world.client()
    for route, key, expected in (
        ("/v1/rounds/1/items", "image_id", [3, 1, 2]),
        ("/v1/quarantine", "file", ["1.txt", "2.txt", "3.txt"]),
        ("/v1/jobs", "id", [3, 2, 1]),
    ):
        seen: list[object] = []
        after: dict[str, int] = {}
        while True:
            page = client.get(route, params={"limit": 2} | after).json()
            seen += [item[key] for item in page["items"]]
            if page["next_after"] is None:
                break
            after = {"after": page["next_after"]}
        assert seen == expected, route


def test_versions_are_strings_and_say_who_is_champion(world: ApiWorld) -> None:
    fill(world)
    client = world.client()
    (model,) = client.get("/v1/models").json()["items"]
    assert (model["model_version"], model["is_champion"]) == ("1", True)
    assert (model["decision"]["challenger"], model["decision"]["reasons"]) == ("1", ["Better."])
    assert client.get("/v1/rounds").json()["items"][0]["model_version"] == "1"
    assert client.get("/v1/snapshots").json()["items"][0]["git_tag"] == "snapshot-1"


def test_an_image_is_described_with_its_place_in_a_round(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    image = client.get("/v1/images/1").json()
    assert (image["width"], image["split"], image["round_item"]["share"]) == (640, "train", "audited")
    check_problem(client.get("/v1/images/99"), 404, "not_found")
    check_problem(client.get("/v1/images/99999999999999999999"), 422, "invalid_input")


def test_a_job_is_cancelled_once_and_its_error_names_no_folder(world: ApiWorld) -> None:
    fill(world)
    client = world.client(Scope.REVIEW)
    assert client.post("/v1/jobs/2/cancel").json()["state"] == "cancelled"
    check_problem(client.post("/v1/jobs/2/cancel"), 409, "conflict")
    assert client.get("/v1/jobs/1").json()["error"] == "File …/model.bin broke."


# --- surfaces and document -------------------------------------------------------------------------------------


def test_each_surface_has_its_routes(world: ApiWorld) -> None:
    def routes(surface: str) -> set[str]:
        document = world.client(surface=surface).get("/v1/openapi.json").json()  # type: ignore[arg-type]
        return set(document["paths"])

    health = {"/v1/health/live", "/v1/health/ready"}
    pricing = {"/v1/predictions", "/v1/predictions/{request_id}", "/v1/models/champion"}
    pricing |= {"/v1/valuations", "/v1/valuations/{valuation_id}", "/v1/feedback"}
    assert pricing | health <= routes("pricing")
    # Remarks are sent on the one and read on the other.
    assert routes("operations") & routes("pricing") == health | {"/v1/feedback"}
    assert routes("all") == routes("pricing") | routes("operations")


def test_the_document_has_every_route_with_its_problems_and_examples(world: ApiWorld) -> None:
    client = world.client()
    document = client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/health"):
                continue
            assert "401" in operation["responses"], (method, path)
            assert operation["security"], (method, path)
            for status, answer in operation["responses"].items():
                assert status < "400" or list(answer["content"]) == ["application/problem+json"], (method, path)
    assert "dent" in json.dumps(document["components"]["schemas"]["PredictionAnswer"]["examples"])
    assert document["paths"]["/v1/predictions"]["post"]["requestBody"]["content"]["multipart/form-data"]
