"""Both clients send the same, read the same, and try again only where that is safe."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from damageloop_client import (
    AsyncDamageloopClient,
    ConflictError,
    ConnectionFailedError,
    DamageloopClient,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    ProblemError,
    Retries,
    TryLaterError,
    UnexpectedAnswerError,
)

URL = "http://platform.test"
ANSWER: dict[str, Any] = {
    "request_id": "0196",
    "model_version": "7",
    "outcome": "damaged",
    "none_probability": 0.03,
    "images": [
        {
            "filename": "left.jpg",
            "width": 1280,
            "height": 960,
            "outcome": "damaged",
            "quality": {"brightness": 118.2, "contrast": 41.0, "sharpness": 33.5, "flags": ["dark"]},
            "detections": [
                {
                    "damage_class": "dent",
                    "confidence": 0.87,
                    "box": {"x_min": 312.0, "y_min": 200.5, "x_max": 471.0, "y_max": 322.0},
                    "area_share": 0.0157,
                    "severity": "moderate",
                    "severity_source": "rule",
                    "a_field_of_tomorrow": 1,
                }
            ],
            "error": None,
        },
        {
            "filename": "broken.jpg",
            "width": None,
            "height": None,
            "outcome": None,
            "quality": None,
            "detections": [],
            "error": {"code": "truncated", "message": "It is cut short."},
        },
    ],
}
VALUED: dict[str, Any] = {
    "valuation_id": "v1",
    "valuation_version": "2",
    "model_version": "7",
    "currency": "EUR",
    "base_price": "18500.00",
    "adjusted_price": {"low": "16900.00", "expected": "17350.00", "high": "17800.00"},
    "outcome": "damaged",
    "explanation": "One dent.",
    "deductions": [
        {
            "damage_class": "dent",
            "severity": "moderate",
            "images": [0, 2],
            "cost": {"low": "700.00", "expected": "1150.00", "high": "1600.00"},
            "rule": "dent.moderate",
        }
    ],
}

Respond = Callable[[httpx.Request], httpx.Response]


class Platform:
    """Answers each request with the next of `answers`, the last one for ever, and remembers what came."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


@pytest.fixture(name="pauses", autouse=True)
def pauses_(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No test waits; what would have been waited is written down."""
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(asyncio, "sleep", note)
    return pauses


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return what calls a method of either client: `ask(platform, "predict", ...)`."""

    def of_sync(platform: Respond, name: str, *values: Any, retries: Retries | None = None, **named: Any) -> Any:
        with DamageloopClient(URL, "dl_key", retries=retries, transport=httpx.MockTransport(platform)) as client:
            answer = getattr(client, name)(*values, **named)
            return list(answer) if inspect.isgenerator(answer) else answer

    def of_async(platform: Respond, name: str, *values: Any, retries: Retries | None = None, **named: Any) -> Any:
        async def run() -> Any:
            transport = httpx.MockTransport(platform)
            async with AsyncDamageloopClient(URL, "dl_key", retries=retries, transport=transport) as client:
                answer = getattr(client, name)(*values, **named)
                return [line async for line in answer] if inspect.isasyncgen(answer) else await answer

        return asyncio.run(run())

    return of_sync if request.param == "sync" else of_async


def problem(status: int, code: str = "x", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": f"Because of {code}.", "code": code}, headers=headers)


def test_an_answer_is_read_with_its_damages_and_file_errors(ask: Callable[..., Any]) -> None:
    seen = ask(Platform(httpx.Response(200, json=ANSWER)), "predict", [b"x"])
    assert (seen.request_id, seen.model_version, seen.outcome, seen.none_probability) == ("0196", "7", "damaged", 0.03)
    (dent,) = seen.damages
    assert (dent.damage_class, dent.box.x_max, dent.severity) == ("dent", 471.0, "moderate")
    assert seen.images[0].flags == ("dark",)
    assert seen.images[1].error is not None
    assert seen.images[1].error.code == "truncated"


def test_photos_the_key_and_an_idempotency_key_are_sent(ask: Callable[..., Any], tmp_path: Any) -> None:
    path = tmp_path / "left.jpg"
    path.write_bytes(b"LEFT")
    platform = Platform(httpx.Response(200, json=ANSWER))
    ask(platform, "predict", [path, b"BYTES", ("named.png", b"NAMED")], vehicle_id="car-1")
    (request,) = platform.requests
    body = request.content
    assert (request.method, request.url.path, request.headers["X-API-Key"]) == ("POST", "/v1/predictions", "dl_key")
    assert request.headers["Idempotency-Key"]
    for part in (b'filename="left.jpg"', b"LEFT", b'filename="photo-2.jpg"', b'filename="named.png"', b"car-1"):
        assert part in body


def test_money_comes_and_goes_as_exact_decimals(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(200, json=VALUED))
    worth = ask(platform, "value", ["0196"], Decimal("18500.00"), "EUR", {"mileage_km": 90000})
    assert worth.adjusted_price.expected == Decimal("17350.00")
    assert worth.deductions[0].cost.low == Decimal("700.00")
    assert json.loads(platform.requests[0].content) == {
        "request_ids": ["0196"],
        "base_price": "18500.00",
        "currency": "EUR",
        "vehicle": {"mileage_km": 90000},
    }


def test_amounts_are_written_out_and_facts_that_are_not_known_are_left_out(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(200, json=VALUED))
    facts = {"mileage_km": 90000, "first_registration": None}
    ask(platform, "value_photos", [b"x"], Decimal("1.85E+4"), "EUR", facts)
    body = platform.requests[0].content
    assert b"\r\n\r\n18500\r\n" in body
    assert b"\r\n\r\n90000\r\n" in body
    assert b"first_registration" not in body


def test_why_a_price_is_what_it_is_can_be_read(ask: Callable[..., Any]) -> None:
    cost = {"low": "0.00", "expected": "0.00", "high": "370.00"}
    more = {"reasons": ["Because."], "adjustments": [{"reason": "unsure", "cost": cost}], "request_ids": ["0196"]}
    worth = ask(Platform(httpx.Response(200, json=VALUED | more)), "valuation", "v1")
    assert (worth.reasons, worth.request_ids) == (("Because.",), ("0196",))
    assert [(item.reason, item.cost.high) for item in worth.adjustments] == [("unsure", Decimal("370.00"))]


def test_a_batch_is_removed(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(204))
    assert ask(platform, "remove_batch", "b1") is None
    assert [(request.method, request.url.path) for request in platform.requests] == [("DELETE", "/v1/batches/b1")]


def test_a_price_as_a_float_is_refused_before_it_is_sent(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(200, json=VALUED))
    with pytest.raises(TypeError, match="not exact"):
        ask(platform, "value", ["0196"], 18500.0, "EUR")
    assert platform.requests == []


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_busy_platform_is_asked_again_with_the_same_idempotency_key(ask: Callable[..., Any], status: int) -> None:
    platform = Platform(problem(status), problem(status), httpx.Response(200, json=ANSWER))
    assert ask(platform, "predict", [b"x"]).request_id == "0196"
    assert len({request.headers["Idempotency-Key"] for request in platform.requests}) == 1
    assert len(platform.requests) == 3


def test_retry_after_is_waited_for(ask: Callable[..., Any], pauses: list[float]) -> None:
    platform = Platform(problem(429, **{"Retry-After": "7"}), httpx.Response(200, json=ANSWER))
    ask(platform, "predict", [b"x"])
    assert pauses == [7.0]


def test_a_longer_retry_after_than_is_patient_ends_the_tries(ask: Callable[..., Any], pauses: list[float]) -> None:
    platform = Platform(problem(503, "no_model", **{"Retry-After": "600"}))
    with pytest.raises(TryLaterError) as caught:
        ask(platform, "predict", [b"x"])
    assert (caught.value.retry_after_s, caught.value.code, pauses) == (600.0, "no_model", [])


def test_tries_end_and_the_last_problem_is_told(ask: Callable[..., Any], pauses: list[float]) -> None:
    platform = Platform(problem(503, "no_model"))
    with pytest.raises(TryLaterError, match="Because of no_model"):
        ask(platform, "predict", [b"x"], retries=Retries(attempts=3))
    assert len(platform.requests) == 3
    assert 0.1 <= pauses[0] <= 0.2 <= pauses[1] <= 0.4


def test_a_lost_answer_is_asked_for_again_and_then_given_up(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.ReadTimeout("slow"), httpx.Response(200, json=ANSWER))
    assert ask(platform, "predict", [b"x"]).request_id == "0196"
    platform = Platform(httpx.ConnectError("nobody"))
    with pytest.raises(ConnectionFailedError, match="/v1/predictions"):
        ask(platform, "predict", [b"x"], retries=Retries(attempts=2))
    assert len(platform.requests) == 2


def test_a_post_without_idempotency_key_is_not_repeated_once_it_was_sent(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.ReadTimeout("slow"))
    with pytest.raises(ConnectionFailedError):
        ask(platform, "post", "/v1/rounds", {})
    assert len(platform.requests) == 1


def test_the_first_of_two_equal_requests_is_waited_for(ask: Callable[..., Any]) -> None:
    platform = Platform(problem(409, "idempotency_in_flight", **{"Retry-After": "1"}), httpx.Response(200, json=ANSWER))
    assert ask(platform, "predict", [b"x"]).request_id == "0196"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
        (431, InvalidRequestError),
        (500, ProblemError),
    ],
)
def test_other_problems_are_raised_at_once(ask: Callable[..., Any], status: int, kind: type[ProblemError]) -> None:
    platform = Platform(problem(status, "why"))
    with pytest.raises(kind) as caught:
        ask(platform, "prediction", "0196")
    assert (caught.value.status, caught.value.code, str(caught.value)) == (status, "why", "Because of why.")
    assert len(platform.requests) == 1


def test_a_problem_that_is_no_json_is_told_by_its_status(ask: Callable[..., Any]) -> None:
    with pytest.raises(ProblemError, match="answered 500"):
        ask(Platform(httpx.Response(500, text="<html>")), "champion")


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(200, json={"hello": 1})])
def test_an_answer_of_something_else_is_told(ask: Callable[..., Any], answer: httpx.Response) -> None:
    with pytest.raises(UnexpectedAnswerError, match="something unknown"):
        ask(Platform(answer), "prediction", "0196")


def test_an_id_never_leads_to_another_route(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(200, json=ANSWER))
    ask(platform, "prediction", "../keys?x=1")
    assert platform.requests[0].url.raw_path == b"/v1/predictions/..%2Fkeys%3Fx%3D1"


def test_results_are_read_page_by_page(ask: Callable[..., Any]) -> None:
    broken = {"code": "truncated", "message": "It is cut short."}
    answers: list[dict[str, Any]] = [{"prediction": ANSWER, "error": None}] * 2 + [
        {"prediction": None, "error": broken}
    ]
    lines = [json.dumps({"number": n, "filename": f"{n}.jpg", **answer}) for n, answer in enumerate(answers)]
    pages = ["\n".join(lines[:2]) + "\n", lines[2] + "\n", ""]
    platform = Platform(*[httpx.Response(200, text=page) for page in pages])
    found = ask(platform, "results", "b1")
    assert [(line.number, line.filename, line.prediction and line.prediction.outcome) for line in found] == [
        (0, "0.jpg", "damaged"),
        (1, "1.jpg", "damaged"),
        (2, "2.jpg", None),
    ]
    assert found[2].error.code == "truncated"
    assert [request.url.params.get("after") for request in platform.requests] == [None, "1", "2"]


def test_a_batch_is_waited_for_until_it_is_over(ask: Callable[..., Any], pauses: list[float]) -> None:
    def batch(state: str) -> httpx.Response:
        content = {"batch_id": "b", "n_images": 2, "n_answered": 1, "model_version": "1", "error": None}
        return httpx.Response(200, json={**content, "state": state})

    platform = Platform(batch("queued"), batch("running"), batch("done"))
    assert ask(platform, "wait_for_batch", "b", poll_s=2.0).state == "done"
    assert pauses == [2.0, 2.0]
    with pytest.raises(TimeoutError, match="still running: 1 of 2"):
        ask(Platform(batch("running")), "wait_for_batch", "b", poll_s=2.0, timeout_s=1.0)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_any_route_is_changed_and_an_empty_answer_is_none(ask: Callable[..., Any], method: str) -> None:
    platform = Platform(httpx.Response(200, json={"id": 3}), httpx.Response(204))
    more = () if method == "delete" else ({"name": "b"},)
    assert ask(platform, method, "/v1/things/3", *more) == {"id": 3}
    assert ask(platform, method, "/v1/things/3", *more) is None
    assert {(request.method, request.url.path) for request in platform.requests} == {(method.upper(), "/v1/things/3")}
    assert [json.loads(request.content or b"null") for request in platform.requests] == [*more, *more] or not more


def test_replacing_is_tried_again_and_changing_a_part_is_not(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.ReadTimeout("slow"), httpx.Response(200, json={}))
    assert ask(platform, "put", "/v1/things/3", {}) == {}
    platform = Platform(httpx.ReadTimeout("slow"), httpx.Response(200, json={}))
    with pytest.raises(ConnectionFailedError):
        ask(platform, "patch", "/v1/things/3", {})
    assert len(platform.requests) == 1


def test_a_file_comes_as_its_bytes_and_a_refusal_as_its_problem(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(200, content=b"\xff\xd8jpeg"), problem(404, "not_found"))
    assert ask(platform, "get_bytes", "/v1/images/7/thumbnail", width=320) == b"\xff\xd8jpeg"
    assert platform.requests[0].url.params["width"] == "320"
    with pytest.raises(NotFoundError):
        ask(platform, "get_bytes", "/v1/images/8/thumbnail")


def test_what_is_not_asked_for_is_not_sent(ask: Callable[..., Any]) -> None:
    platform = Platform(httpx.Response(200, json=[]))
    ask(platform, "get", "/v1/images", limit=5, after=None)
    assert dict(platform.requests[0].url.params) == {"limit": "5"}


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(f).parameters) for name, f in found if not name.startswith("__")}

    assert methods(DamageloopClient) == methods(AsyncDamageloopClient)
