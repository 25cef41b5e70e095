"""schemathesis asks every operation of both surfaces, as documented and not: nothing breaks, nothing is undocumented.

20 examples an operation; marked `full`, 200. The application is the real one, on a real database, with a champion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp, Receive
from starlette.types import Scope as AsgiScope
from starlette.types import Send as AsgiSend

from api.document import SURFACES
from api.main import Surface, create_app
from damageloop.domain.key import Scope
from tests.factories import add_image
from tests.integration.api_world import SECRET, ApiWorld, images, make_photo

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
N_EXAMPLES = 20
N_EXAMPLES_IN_FULL = 200
SCOPES: dict[Surface, Scope] = {"pricing": Scope.PREDICT, "operations": Scope.ADMIN}
# What the operation itself makes useless.
KEYS = "/v1/keys"


def without_lifespan(app: ASGIApp) -> ASGIApp:
    """Return the application without its own threads, which would go on for the rest of this process."""

    async def answer(scope: AsgiScope, receive: Receive, send: AsgiSend) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    return answer


def filled(world: ApiWorld) -> str:
    """Have something in most lists: images, an answer, wishes, a subset; return the answer's id."""
    world.promote(1)
    world.promote(2)
    with world.units() as work:
        for number in range(1, 4):
            add_image(work, number)
        work.commit()
    client = world.client(Scope.ADMIN)
    answer = client.post("/v1/predictions", files=images(make_photo()))
    assert client.post("/v1/triggers", json={"kind": "audit", "reason": "a test"}).status_code == 202
    assert client.post("/v1/subsets", json={"name": "one", "image_ids": [1]}).status_code == 201
    return str(answer.json()["request_id"])


def ask_all(world: ApiWorld, surface: Surface, n_examples: int) -> list[str]:
    """Send examples to every operation; return what went wrong, at most once for each."""
    return ask(world, surface, document_of(world, surface), filled(world), n_examples)


def ask(world: ApiWorld, surface: Surface, document: dict[str, Any], request_id: str, n_examples: int) -> list[str]:
    """Send examples to the operations of a document; see `ask_all`."""
    schema = schemathesis.openapi.from_dict(document)
    schema.app = without_lifespan(create_app(world.services, surface))
    key, wrong = a_key(world, surface), []
    with asgi.get_client(schema.app) as client:

        def send(case: Case, number: int | None) -> None:
            name_what_exists(case, number, request_id)
            headers = a_key(world, surface) if case.path.startswith(KEYS) else dict(key)
            if case.path.startswith("/v1/webhooks"):
                headers["X-Damageloop-Webhook-Secret"] = SECRET
            response = case.call(session=client, headers=headers)
            assert response.status_code < 500 or response.status_code == 503, response.text
            assert response.status_code != 401, "the test lost its key"
            case.validate_response(response, checks=CHECKS, headers=headers)

        for result in schema.get_all_operations():
            operation = result.ok()
            try:
                examples_of(operation, n_examples)(send)()
            except (Exception, FailureGroup) as exc:  # noqa: BLE001 - whatever it is, the other operations are asked too
                wrong.append(f"{operation.label}: {exc}")
    return wrong


def name_what_exists(case: Case, number: int | None, request_id: str) -> None:
    """Have the path of a case name something of `filled`, now and then: made-up numbers mostly find nothing."""
    if number is None:
        return
    for name in case.path_parameters or {}:
        case.path_parameters[name] = request_id if name == "request_id" else number


def document_of(world: ApiWorld, surface: Surface) -> dict[str, Any]:
    return without_security(world.client(surface=surface).get("/v1/openapi.json").json())


def without_security(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without credentials: schemathesis would make some up, and another test is about them."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


def a_key(world: ApiWorld, surface: Surface) -> dict[str, str]:
    """Return the header of a key that no limit stops."""
    _, key = world.services.keys.create("tester", [SCOPES[surface]], requests_per_minute=1_000_000)
    return {"X-API-Key": key}


Send = Callable[[Case, int | None], None]


def examples_of(operation: Any, n_examples: int) -> Callable[[Send], Callable[[], None]]:
    """Return a decorator that calls a function with examples of an operation, good ones and bad ones."""
    cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if has_input(operation):
        cases = st.one_of(cases, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    def decorate(send: Send) -> Callable[[], None]:
        @given(case=cases, number=st.sampled_from([None, 1, 2]))
        @settings(
            max_examples=n_examples if has_input(operation) else 1,
            # The same examples each time; a failure is reported as it is found, since the world has changed by then.
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Case, number: int | None) -> None:
            send(case, number)

        return check

    return decorate


def has_input(operation: Any) -> bool:
    """Tell whether there is anything to vary."""
    raw = operation.definition.raw
    return bool(raw.get("parameters") or raw.get("requestBody"))


@pytest.mark.parametrize("surface", SURFACES)
def test_no_request_gets_an_undocumented_answer(world: ApiWorld, surface: Surface) -> None:
    assert "\n\n".join(ask_all(world, surface, N_EXAMPLES)) == ""


def test_an_undocumented_answer_would_be_found(world: ApiWorld) -> None:
    document = document_of(world, "pricing")
    document["paths"] = {"/v1/health/live": document["paths"]["/v1/health/live"]}
    assert ask(world, "pricing", document, "", 1) == []
    responses = document["paths"]["/v1/health/live"]["get"]["responses"]
    responses["200"]["content"]["application/json"]["schema"] = {"type": "string"}
    (wrong,) = ask(world, "pricing", document, "", 1)
    assert wrong.startswith("GET /v1/health/live")


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("surface", SURFACES)
def test_no_request_of_many_gets_an_undocumented_answer(world: ApiWorld, surface: Surface) -> None:
    assert "\n\n".join(ask_all(world, surface, N_EXAMPLES_IN_FULL)) == ""
