"""Calls as values: what is sent and how the answer is read, for the synchronous and the asynchronous client alike."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from damageloop_client.errors import UnexpectedAnswerError, problem_of
from damageloop_client.models import Batch, Prediction, Valuation

T = TypeVar("T")
# A path, bytes, or (name, bytes).
Photo = str | Path | bytes | tuple[str, bytes]
Money = Decimal | int | str
Read = Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request of HTTP, and how its answer is read.

    Attributes:
        idempotency_key: Makes a POST safe to repeat: the platform gives the first answer again.
    """

    method: str
    path: str
    read: Read[T]
    json: Any = None
    files: Sequence[tuple[str, tuple[str, bytes]]] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None

    @property
    def is_repeatable(self) -> bool:
        """Tell whether the request may be sent again when nobody knows what became of it."""
        return self.method in ("GET", "HEAD", "PUT", "DELETE") or self.idempotency_key is not None

    def arguments(self) -> dict[str, Any]:
        """Return what httpx takes to build the request."""
        headers = {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}
        body: dict[str, Any] = {"headers": headers, "params": dict(self.params) or None}
        if self.json is not None:
            return body | {"json": self.json}
        if self.files:
            return body | {"files": list(self.files), "data": dict(self.data)}
        return body


def predict(photos: Iterable[Photo], vehicle_id: str | None, idempotency_key: str | None) -> Call[Prediction]:
    """Return the call for a prediction."""
    data = {} if vehicle_id is None else {"vehicle_id": vehicle_id}
    return Call(
        "POST",
        "/v1/predictions",
        Prediction.from_json,
        files=_parts(photos),
        data=data,
        idempotency_key=_key(idempotency_key),
    )


def prediction(request_id: str) -> Call[Prediction]:
    """Return the call for an earlier answer."""
    return Call("GET", f"/v1/predictions/{_segment(request_id)}", Prediction.from_json)


def value(
    request_ids: Sequence[str],
    base_price: Money,
    currency: str,
    vehicle: Mapping[str, Any] | None,
    idempotency_key: str | None,
) -> Call[Valuation]:
    """Return the call for the valuation of earlier predictions."""
    content: dict[str, Any] = {"request_ids": list(request_ids), "base_price": _money(base_price), "currency": currency}
    if vehicle is not None:
        content["vehicle"] = dict(vehicle)
    return Call("POST", "/v1/valuations", Valuation.from_json, json=content, idempotency_key=_key(idempotency_key))


def value_photos(
    photos: Iterable[Photo],
    base_price: Money,
    currency: str,
    vehicle: Mapping[str, Any] | None,
    idempotency_key: str | None,
) -> Call[Valuation]:
    """Return the call for a valuation of photos that were not sent before."""
    facts = {name: str(fact) for name, fact in (vehicle or {}).items() if fact is not None}
    data = {"base_price": _money(base_price), "currency": currency, **facts}
    return Call(
        "POST",
        "/v1/valuations",
        Valuation.from_json,
        files=_parts(photos),
        data=data,
        idempotency_key=_key(idempotency_key),
    )


def valuation(valuation_id: str) -> Call[Valuation]:
    """Return the call for an earlier valuation."""
    return Call("GET", f"/v1/valuations/{_segment(valuation_id)}", Valuation.from_json)


def feedback(request_id: str, kind: str, note: str, idempotency_key: str | None) -> Call[dict[str, Any]]:
    """Return the call that tells what was wrong with an answer."""
    content = {"request_id": request_id, "kind": kind, "note": note}
    return Call("POST", "/v1/feedback", dict, json=content, idempotency_key=_key(idempotency_key))


def champion() -> Call[dict[str, Any]]:
    """Return the call for the card of the model that answers."""
    return Call("GET", "/v1/models/champion", dict)


def new_batch(photos: Iterable[Photo], is_complete: bool, idempotency_key: str | None) -> Call[Batch]:
    """Return the call that makes a batch."""
    params = {"is_complete": "true" if is_complete else "false"}
    return Call(
        "POST",
        "/v1/batches",
        Batch.from_json,
        files=_parts(photos),
        params=params,
        idempotency_key=_key(idempotency_key),
    )


def add_to_batch(batch_id: str, photos: Iterable[Photo], first_number: int) -> Call[Batch]:
    """Return the call that adds photos to an open batch; the number of the first makes it safe to repeat."""
    path = f"/v1/batches/{_segment(batch_id)}/images"
    key = f"{batch_id}:{first_number}"
    return Call("POST", path, Batch.from_json, files=_parts(photos), idempotency_key=key)


def start_batch(batch_id: str) -> Call[Batch]:
    """Return the call that puts an open batch to work; doing it twice changes nothing."""
    return Call("POST", f"/v1/batches/{_segment(batch_id)}/start", Batch.from_json, idempotency_key=f"{batch_id}:start")


def batch(batch_id: str) -> Call[Batch]:
    """Return the call for a batch as it is now."""
    return Call("GET", f"/v1/batches/{_segment(batch_id)}", Batch.from_json)


def remove_batch(batch_id: str) -> Call[None]:
    """Return the call that removes a batch."""
    return Call("DELETE", f"/v1/batches/{_segment(batch_id)}", _nothing)


def results(batch_id: str, after: int | None, limit: int) -> Call[list[dict[str, Any]]]:
    """Return the call for the next lines of a batch."""
    params: dict[str, Any] = {"limit": limit} if after is None else {"limit": limit, "after": after}
    return Call("GET", f"/v1/batches/{_segment(batch_id)}/results", _lines, params=params)


def other(method: str, path: str, content: Any = None, params: Mapping[str, Any] | None = None) -> Call[Any]:
    """Return the call for any other route, whose answer is JSON or nothing."""
    given = {name: value for name, value in (params or {}).items() if value is not None}
    return Call(method, path, _json_or_nothing, json=content, params=given)


def file(path: str, params: Mapping[str, Any]) -> Call[bytes]:
    """Return the call for a file, such as an image."""
    given = {name: value for name, value in params.items() if value is not None}
    return Call("GET", path, _file, params=given)


def read_answer(call: Call[T], response: httpx.Response) -> T:
    """Return what an answer says.

    Raises:
        ProblemError: If the platform said no.
        UnexpectedAnswerError: If the answer is not this platform's.
    """
    if response.is_success:
        try:
            if call.read is _file:
                return call.read(response.content)
            is_text = call.read in (_lines, _nothing, _json_or_nothing)
            return call.read(response.text if is_text else response.json())
        except (ValueError, KeyError, TypeError) as exc:
            raise UnexpectedAnswerError(f"{call.method} {call.path} was answered with something unknown.") from exc
    raise problem_of(response.status_code, _problem(response), retry_after_s(response))


def retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds of `Retry-After`, None where there are none."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def _nothing(_text: str) -> None:
    return None


def _file(content: bytes) -> bytes:
    return content


def _json_or_nothing(text: str) -> Any:
    return json.loads(text) if text else None


def _parts(photos: Iterable[Photo]) -> list[tuple[str, tuple[str, bytes]]]:
    # Read whole, so that they can be sent again.
    return [("images", _named(photo, number)) for number, photo in enumerate(photos, start=1)]


def _named(photo: Photo, number: int) -> tuple[str, bytes]:
    if isinstance(photo, tuple):
        return photo
    if isinstance(photo, bytes):
        return f"photo-{number}.jpg", photo
    path = Path(photo)
    return path.name, path.read_bytes()


def _money(amount: Money) -> str:
    if isinstance(amount, float):
        raise TypeError("Money is a Decimal, an int or a string: a float is not exact.")
    # Never as 1.85E+4, which the platform takes for no amount.
    return format(amount, "f") if isinstance(amount, Decimal) else str(amount)


def _key(given: str | None) -> str:
    return given or str(uuid.uuid4())


def _segment(text: str) -> str:
    return quote(text, safe="")
