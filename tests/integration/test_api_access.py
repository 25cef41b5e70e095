"""Who gets in: keys, scopes, the webhook's secret, and how much anybody may send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from damageloop.domain.key import Scope
from tests.integration.api_world import MAX_REQUEST_BYTES, SECRET, ApiWorld, images, make_photo
from tests.integration.test_api import check_problem

WEBHOOK = "/v1/webhooks/label-studio"
SECRET_HEADER = {"X-Damageloop-Webhook-Secret": SECRET}
OPEN = {"/v1/health/live", "/v1/health/ready"}


def operations(world: ApiWorld) -> list[tuple[str, str]]:
    """Return (method, path) of every route, parameters filled in."""
    document = world.client().get("/v1/openapi.json").json()
    found = [(method, path) for path, methods in document["paths"].items() for method in methods]
    return [("get", "/v1/openapi.json"), *((m, p.replace("{", "").replace("}", "")) for m, p in found)]


def filled(path: str) -> str:
    return (
        path.replace("request_id", "0196")
        .replace("round_id", "1")
        .replace("image_id", "1")
        .replace("job_id", "1")
        .replace("key_id", "1")
    )


def test_every_route_but_health_wants_a_key(world: ApiWorld) -> None:
    stranger = world.client(has_key=False)
    wrong = {"X-API-Key": "dl_wrong", "X-Damageloop-Webhook-Secret": "wrong"}
    seen = operations(world)
    assert len(seen) >= 18
    for method, path in seen:
        if path in OPEN:
            assert stranger.request(method, path).status_code == 200
            continue
        for headers in ({}, wrong):
            response = stranger.request(method, filled(path), headers=headers)
            check_problem(response, 401, "unauthenticated")
            assert response.headers["www-authenticate"].startswith("ApiKey")


@pytest.mark.parametrize(
    ("scope", "method", "path", "is_allowed"),
    [
        (Scope.PREDICT, "get", "/v1/models/champion", True),
        (Scope.PREDICT, "get", "/v1/rounds", False),
        (Scope.PREDICT, "get", "/v1/models", False),
        (Scope.PREDICT, "get", "/v1/keys", False),
        (Scope.REVIEW, "get", "/v1/rounds", True),
        (Scope.REVIEW, "get", "/v1/quarantine", True),
        (Scope.REVIEW, "post", "/v1/predictions", False),
        (Scope.REVIEW, "get", "/v1/models", False),
        (Scope.REVIEW, "delete", "/v1/keys/1", False),
        (Scope.ADMIN, "get", "/v1/models", True),
        (Scope.ADMIN, "get", "/v1/rounds", True),
        (Scope.ADMIN, "get", "/v1/keys", True),
    ],
)
def test_a_key_does_what_its_scope_covers(
    world: ApiWorld, scope: Scope, method: str, path: str, is_allowed: bool
) -> None:
    world.promote()
    response = world.client(scope).request(method, path)
    if is_allowed:
        assert response.status_code == 200
    else:
        check_problem(response, 403, "missing_scope")


def test_keys_are_made_used_listed_and_revoked(world: ApiWorld) -> None:
    admin = world.client()
    made = admin.post("/v1/keys", json={"name": "pricing", "scopes": ["predict"]})
    assert made.status_code == 201
    key = {"X-API-Key": made.json()["key"]}
    world.promote()
    assert admin.get("/v1/models/champion", headers=key).status_code == 200
    listed = {item["id"]: item for item in admin.get("/v1/keys").json()}[made.json()["id"]]
    assert listed["last_used_at"] is not None
    assert "key" not in listed
    assert admin.delete(f"/v1/keys/{made.json()['id']}").json()["revoked_at"] is not None
    check_problem(admin.get("/v1/models/champion", headers=key), 401, "unauthenticated")
    check_problem(admin.delete("/v1/keys/99"), 404, "not_found")


@pytest.mark.parametrize(
    "body", [{"name": "", "scopes": ["predict"]}, {"name": "x", "scopes": ["root"]}, {"name": "x"}]
)
def test_a_wrong_body_is_refused_without_repeating_it(world: ApiWorld, body: dict[str, Any]) -> None:
    response = world.client().post("/v1/keys", json=body | {"hidden": "my password"})
    check_problem(response, 422, "invalid_input")
    assert "my password" not in response.text


# --- sizes -----------------------------------------------------------------------------------------------------


def test_a_declared_size_beyond_the_limit_is_refused_unread(world: ApiWorld) -> None:
    was_read: list[bool] = []

    def body() -> Iterator[bytes]:
        was_read.append(True)
        yield b"x"

    response = world.client().post(
        "/v1/predictions", content=body(), headers={"content-length": str(MAX_REQUEST_BYTES + 1)}
    )
    check_problem(response, 413, "request_too_large")
    assert was_read == []


def test_a_body_without_a_declared_size_is_counted_while_it_streams(world: ApiWorld) -> None:
    def body() -> Iterator[bytes]:
        yield b'--a\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
        for _ in range(100):
            yield bytes(MAX_REQUEST_BYTES // 50)

    world.promote()
    headers = {"content-type": "multipart/form-data; boundary=a"}
    check_problem(world.client().post("/v1/predictions", content=body(), headers=headers), 413, "request_too_large")


def test_other_routes_take_little(world: ApiWorld) -> None:
    check_problem(world.client().post("/v1/keys", content=bytes(64_001)), 413, "request_too_large")


def test_photos_within_the_limit_pass(world: ApiWorld) -> None:
    world.promote()
    photo = make_photo()
    assert 2 * len(photo) < MAX_REQUEST_BYTES
    assert world.client().post("/v1/predictions", files=images(photo, photo)).status_code == 200


# --- webhook ---------------------------------------------------------------------------------------------------


def post_event(client: TestClient, content: bytes, headers: dict[str, str] | None = None) -> Any:
    return client.post(WEBHOOK, content=content, headers=SECRET_HEADER if headers is None else headers)


def test_an_event_is_noted_with_ids_only_and_nudges_after_the_commit(world: ApiWorld) -> None:
    event = {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 5, "result": [], "completed_by": {"email": "ann@example.org"}},
        "task": {"id": 70, "data": {"image": "x"}},
        "project": {"id": 1, "token": "secret"},
    }
    response = post_event(world.client(has_key=False), json.dumps(event).encode())
    assert response.status_code == 202
    with world.units(read_only=True) as work:
        (noted,) = work.inbox.unprocessed()
    assert noted.action == "ANNOTATION_CREATED"
    assert noted.payload == {"annotation": [5], "task": [70], "project": [1]}
    assert world.nudges == [1]


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", "é"])
def test_without_the_secret_nothing_is_noted_and_the_body_is_not_read(world: ApiWorld, secret: str | None) -> None:
    was_read: list[bool] = []

    def body() -> Iterator[bytes]:
        was_read.append(True)
        yield b"x"

    headers = {} if secret is None else {"X-Damageloop-Webhook-Secret": secret.encode()}
    client = world.client(Scope.ADMIN)  # an API key is no secret of the webhook
    check_problem(client.post(WEBHOOK, content=body(), headers=headers), 401, "unauthenticated")
    assert (was_read, world.nudges) == ([], [])


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}", b'{"action": 5}', b"[" * 5000, b'{"action": ""}'])
def test_what_is_no_event_is_refused(world: ApiWorld, content: bytes) -> None:
    check_problem(post_event(world.client(has_key=False), content), 422, "invalid_input")
    assert world.nudges == []


def test_a_deletion_names_its_annotations(world: ApiWorld) -> None:
    event = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}, {"id": 6}, {"no": 1}]}
    assert post_event(world.client(has_key=False), json.dumps(event).encode()).status_code == 202
    with world.units(read_only=True) as work:
        assert work.inbox.unprocessed()[0].payload == {"annotations": [5, 6]}
