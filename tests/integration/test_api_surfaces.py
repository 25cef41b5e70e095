"""Two surfaces: what each offers, that nothing on them is open, how much a key may ask, what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from api import error_handlers
from api.deprecation import deprecated
from api.headers import SECURE, AnswerHeaders
from api.main import Surface, create_app
from api.security import GUESSES_PER_MINUTE, OPEN_PATHS, ScopeCheck, refuse_open_routes, require, require_webhook_secret
from damageloop.domain.key import Scope
from tests.integration.api_world import ApiWorld
from tests.integration.test_api import check_problem

SURFACES: tuple[Surface, ...] = ("pricing", "operations", "all")
# What covers less than a scope; nothing covers less than `predict` and `review`, so each stands against the other.
LESSER = {Scope.ADMIN: (Scope.PREDICT, Scope.REVIEW), Scope.REVIEW: (Scope.PREDICT,), Scope.PREDICT: (Scope.REVIEW,)}


def routes(app: FastAPI) -> Iterator[tuple[str, str, list[object]]]:
    """Yield (method, path, what guards it) of every route, those outside the document too."""
    for route in iter_route_contexts(app.routes):
        guards: list[object] = []
        waiting = [route.dependant]
        while waiting:
            dependant = waiting.pop()
            waiting += dependant.dependencies
            guards.append(dependant.call)
        for method in sorted(route.methods or ()):
            yield method, re.sub(r"\{[^}]+\}", "1", str(route.path)), guards


@pytest.mark.parametrize("surface", SURFACES)
def test_nothing_but_health_answers_a_stranger_or_a_key_of_another_scope(world: ApiWorld, surface: Surface) -> None:
    stranger = world.client(surface=surface, has_key=False)
    keys = {scope: world.key(scope) for scope in Scope}
    n_guarded = 0
    for method, path, guards in routes(stranger.app):  # type: ignore[arg-type]
        if path in OPEN_PATHS:
            continue
        n_guarded += 1
        check_problem(stranger.request(method, path), 401, "unauthenticated")
        check_problem(stranger.request(method, path, headers={"X-API-Key": "dl_wrong"}), 401, "unauthenticated")
        if require_webhook_secret in guards:
            check_problem(stranger.request(method, path, headers=keys[Scope.ADMIN]), 401, "unauthenticated")
        for check in (guard for guard in guards if isinstance(guard, ScopeCheck)):
            for scope in LESSER[check.scope]:
                check_problem(stranger.request(method, path, headers=keys[scope]), 403, "missing_scope")
    assert n_guarded > 3


def test_an_application_with_an_open_route_does_not_start() -> None:
    app, router = FastAPI(openapi_url=None), APIRouter()

    @router.get("/secrets")
    async def secrets() -> str:
        return "all of them"

    app.include_router(router, prefix="/v1")
    with pytest.raises(RuntimeError, match="/v1/secrets asks for no scope"):
        refuse_open_routes(app)


def test_a_scope_anywhere_among_the_dependencies_counts() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/v1/guarded", dependencies=[Depends(require(Scope.REVIEW))])
    async def guarded() -> str:
        return "for few"

    refuse_open_routes(app)


def test_the_surfaces_have_nothing_in_common_but_health_and_their_document(world: ApiWorld) -> None:
    apps = {surface: create_app(world.services, surface) for surface in SURFACES}
    found = {surface: {(method, path) for method, path, _ in routes(app)} for surface, app in apps.items()}
    common = {("GET", path) for path in OPEN_PATHS | {"/v1/openapi.json"}}
    assert found["pricing"] & found["operations"] == common
    assert found["pricing"] | found["operations"] == found["all"]
    pricing = world.client(surface="pricing")
    for method, path in found["operations"] - common:
        assert pricing.request(method, path).status_code in (404, 405), path


# --- how much a key may ask --------------------------------------------------------------------------------------


def limited(world: ApiWorld, per_minute: int) -> TestClient:
    _, key = world.services.keys.create("hasty", [Scope.ADMIN], requests_per_minute=per_minute)
    client = world.client(has_key=False)
    client.headers["X-API-Key"] = key
    return client


def test_a_key_that_asks_too_much_is_told_when_to_come_again(world: ApiWorld) -> None:
    client = limited(world, 3)
    left = [client.get("/v1/keys").headers["ratelimit"].split(";")[1] for _ in range(3)]
    assert left == ["r=2", "r=1", "r=0"]
    refused = client.get("/v1/keys")
    check_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert world.client().get("/v1/keys").status_code == 200


def test_health_is_not_counted_and_a_refused_scope_is(world: ApiWorld) -> None:
    client = limited(world, 1)
    assert all(client.get("/v1/health/live").status_code == 200 for _ in range(5))
    assert client.post("/v1/subsets", json={}).status_code == 422
    check_problem(client.get("/v1/keys"), 429, "rate_limited")


def test_whoever_guesses_keys_is_stopped_and_known_keys_go_on(world: ApiWorld) -> None:
    client = world.client()
    assert client.get("/v1/keys").status_code == 200
    for number in range(GUESSES_PER_MINUTE):
        check_problem(client.get("/v1/keys", headers={"X-API-Key": f"dl_{number}"}), 401, "unauthenticated")
    check_problem(client.get("/v1/keys", headers={"X-API-Key": "dl_more"}), 429, "rate_limited")
    world.clock.advance(minutes=1)
    assert client.get("/v1/keys").status_code == 200


def test_a_client_that_repeats_one_wrong_key_is_not_taken_for_a_guesser(world: ApiWorld) -> None:
    client = world.client()
    for _ in range(GUESSES_PER_MINUTE + 5):
        check_problem(client.get("/v1/keys", headers={"X-API-Key": "dl_old"}), 401, "unauthenticated")
    assert client.get("/v1/keys").status_code == 200


# --- what becomes of a key ---------------------------------------------------------------------------------------


def test_the_owner_of_a_key_is_told_what_became_of_it(world: ApiWorld) -> None:
    admin = world.client()
    made = admin.post("/v1/keys", json={"name": "pricing", "scopes": ["predict"], "expires_in_days": 1}).json()
    assert (made["state"], made["hint"]) == ("in_use", made["key"][:8])
    owner = {"X-API-Key": made["key"]}
    world.clock.advance(days=1)
    ended = admin.get("/v1/models/champion", headers=owner)
    check_problem(ended, 401, "unauthenticated")
    assert "expired" in ended.json()["detail"]
    admin.delete(f"/v1/keys/{made['id']}")
    assert "revoked" in admin.get("/v1/models/champion", headers=owner).json()["detail"]


def test_a_key_is_rotated_and_both_work_until_the_overlap_ends(world: ApiWorld) -> None:
    world.promote()
    admin = world.client()
    old = admin.post("/v1/keys", json={"name": "pricing", "scopes": ["predict"]}).json()
    new = admin.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_hours": 1}).json()
    champion = "/v1/models/champion"
    for key in (old, new):
        assert admin.get(champion, headers={"X-API-Key": key["key"]}).status_code == 200
    world.clock.advance(hours=1)
    check_problem(admin.get(champion, headers={"X-API-Key": old["key"]}), 401, "unauthenticated")
    assert admin.get(champion, headers={"X-API-Key": new["key"]}).status_code == 200
    check_problem(admin.post(f"/v1/keys/{old['id']}/rotate"), 409, "conflict")
    check_problem(admin.post("/v1/keys/99/rotate"), 404, "not_found")


def test_nobody_locks_himself_out_by_mistake(world: ApiWorld) -> None:
    admin = world.client()
    (own,) = admin.get("/v1/keys").json()
    check_problem(admin.delete(f"/v1/keys/{own['id']}"), 409, "last_admin_key")
    assert admin.delete(f"/v1/keys/{own['id']}?force=true").status_code == 200
    check_problem(admin.get("/v1/keys"), 401, "unauthenticated")


# --- what every answer carries -----------------------------------------------------------------------------------


def test_every_answer_is_kept_by_nobody_and_embedded_nowhere(world: ApiWorld) -> None:
    client = world.client()
    answers = [
        client.get("/v1/keys"),
        client.get("/v1/health/live"),
        client.get("/v1/nowhere"),
        client.get("/v1/keys", headers={"X-API-Key": "wrong"}),
        client.post("/v1/keys", content=bytes(64_001)),
        client.put("/v1/keys"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 401, 413, 405]
    for answer in answers:
        for name, value in SECURE.items():
            assert answer.headers[name] == value, answer.url


def test_a_bug_is_answered_with_the_same_headers(world: ApiWorld) -> None:
    app = create_app(world.services)

    @app.get("/v1/bug")
    async def bug() -> None:
        raise ZeroDivisionError

    answer = TestClient(app, raise_server_exceptions=False).get("/v1/bug")
    check_problem(answer, 500, "internal_error")
    assert answer.headers["cache-control"] == "no-store"


def test_no_page_of_another_origin_may_read_an_answer(world: ApiWorld) -> None:
    client, origin = world.client(), {"Origin": "https://example.org"}
    asked = client.options("/v1/keys", headers=origin | {"Access-Control-Request-Method": "GET"})
    assert asked.status_code == 405
    for answer in (asked, client.get("/v1/keys", headers=origin)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


# --- how a route goes --------------------------------------------------------------------------------------------

GUIDE = "https://example.org/api-changes"


def test_a_deprecated_route_says_so_in_answers_errors_and_the_document(world: ApiWorld) -> None:
    marks = deprecated(date(2027, 1, 1), date(2027, 7, 1), GUIDE)
    app, router = FastAPI(), APIRouter()

    @router.get("/old", **marks)
    async def old(fail: bool = False) -> str:
        if fail:
            raise error_handlers.NoChampionError("None.")
        return "still here"

    app.include_router(router)
    app.add_middleware(AnswerHeaders)
    error_handlers.install(app)
    client = TestClient(app)
    for answer, status in ((client.get("/old"), 200), (client.get("/old?fail=true"), 503)):
        assert answer.status_code == status
        # 2027-01-01T00:00:00Z
        assert answer.headers["deprecation"] == "@1798761600"
        assert answer.headers["sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
        assert answer.headers["link"].startswith(f"<{GUIDE}>")
    described = app.openapi()["paths"]["/old"]["get"]
    assert (described["deprecated"], described["x-sunset"]) == (True, "2027-07-01")


def test_clients_get_the_notice_that_they_were_promised() -> None:
    with pytest.raises(ValueError, match="180 days, this is 179"):
        deprecated(date(2027, 1, 1), date(2027, 6, 29), GUIDE)
