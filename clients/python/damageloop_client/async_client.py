"""The asynchronous client: the same calls as the synchronous one, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from damageloop_client import calls
from damageloop_client.calls import Call, Money, Photo
from damageloop_client.client import DEFAULT_TIMEOUT_S, PAGE
from damageloop_client.errors import ConnectionFailedError
from damageloop_client.models import Batch, BatchLine, Prediction, Valuation
from damageloop_client.retries import Retries

T = TypeVar("T")


class AsyncDamageloopClient:
    """Asks a platform. Close it, or use it in an `async with` block. Safe to share between tasks.

    Args:
        url: Where the platform answers, such as `https://damage.example.com`.
        api_key: A key with the scope `predict`.
        timeout_s: For one try; the platform itself refuses what it can't answer in time.
        retries: When a call is tried again. Every POST gets an idempotency key, so trying again is safe.
        transport: Of httpx, for tests.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, headers={"X-API-Key": api_key}, timeout=timeout_s, transport=transport
        )
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def predict(
        self, photos: Iterable[Photo], vehicle_id: str | None = None, idempotency_key: str | None = None
    ) -> Prediction:
        """Return what 1 to 16 photos of one car show. A photo is a path, bytes, or (name, bytes)."""
        return await self._send(calls.predict(photos, vehicle_id, idempotency_key))

    async def prediction(self, request_id: str) -> Prediction:
        """Return an earlier answer exactly as it was given."""
        return await self._send(calls.prediction(request_id))

    async def value(
        self,
        request_ids: Sequence[str],
        base_price: Money,
        currency: str,
        vehicle: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Valuation:
        """Return what the damages of earlier predictions mean for a price."""
        return await self._send(calls.value(request_ids, base_price, currency, vehicle, idempotency_key))

    async def value_photos(
        self,
        photos: Iterable[Photo],
        base_price: Money,
        currency: str,
        vehicle: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Valuation:
        """Return what the damages on photos mean for a price."""
        return await self._send(calls.value_photos(photos, base_price, currency, vehicle, idempotency_key))

    async def valuation(self, valuation_id: str) -> Valuation:
        """Return an earlier valuation exactly as it was given."""
        return await self._send(calls.valuation(valuation_id))

    async def feedback(
        self, request_id: str, kind: str, note: str = "", idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Tell what was wrong: `kind` is missed, false_alarm, wrong_class or wrong_price."""
        return await self._send(calls.feedback(request_id, kind, note, idempotency_key))

    async def champion(self) -> dict[str, Any]:
        """Return the card of the model that answers."""
        return await self._send(calls.champion())

    async def new_batch(
        self, photos: Iterable[Photo], is_complete: bool = True, idempotency_key: str | None = None
    ) -> Batch:
        """Send photos to be answered in the background; without `is_complete` more can be added."""
        return await self._send(calls.new_batch(photos, is_complete, idempotency_key))

    async def add_to_batch(self, batch: Batch, photos: Iterable[Photo]) -> Batch:
        """Add photos to an open batch, as it was answered last."""
        return await self._send(calls.add_to_batch(batch.batch_id, photos, batch.n_images))

    async def start_batch(self, batch_id: str) -> Batch:
        """Put an open batch to work, or a failed one again."""
        return await self._send(calls.start_batch(batch_id))

    async def batch(self, batch_id: str) -> Batch:
        """Return a batch as it is now."""
        return await self._send(calls.batch(batch_id))

    async def results(self, batch_id: str, after: int | None = None) -> AsyncIterator[BatchLine]:
        """Yield the photos that have their answer, in order, from the one after `after`; ask again for the rest."""
        while lines := await self._send(calls.results(batch_id, after, PAGE)):
            for line in lines:
                yield BatchLine.from_json(line)
            after = lines[-1]["number"]

    async def remove_batch(self, batch_id: str) -> None:
        """Remove a batch with its photos and lines; raises NotFoundError for one that is gone already."""
        await self._send(calls.remove_batch(batch_id))

    async def wait_for_batch(self, batch_id: str, poll_s: float = 2.0, timeout_s: float = 3600.0) -> Batch:
        """Return the batch when it is over. Raises TimeoutError."""
        give_up_at = time.monotonic() + timeout_s
        while not (found := await self.batch(batch_id)).is_over:
            if time.monotonic() + poll_s > give_up_at:
                raise TimeoutError(f"Batch {batch_id} is still {found.state}: {found.n_answered} of {found.n_images}.")
            await asyncio.sleep(poll_s)
        return found

    async def get(self, path: str, **params: Any) -> Any:
        """Return the JSON of any other route, such as `/v1/rounds`."""
        return await self._send(calls.other("GET", path, None, params))

    async def post(self, path: str, content: Any = None) -> Any:
        """Send JSON to any other route; it is not tried again once it was sent."""
        return await self._send(calls.other("POST", path, content))

    async def put(self, path: str, content: Any = None) -> Any:
        """Replace what is there by JSON; sent twice it changes nothing more, so it is tried again."""
        return await self._send(calls.other("PUT", path, content))

    async def patch(self, path: str, content: Any = None) -> Any:
        """Change a part of what is there; it is not tried again once it was sent."""
        return await self._send(calls.other("PATCH", path, content))

    async def delete(self, path: str, **params: Any) -> Any:
        """Remove what is there, and return what the platform says of it; None where it says nothing."""
        return await self._send(calls.other("DELETE", path, None, params))

    async def get_bytes(self, path: str, **params: Any) -> bytes:
        """Return a file of any route, such as `/v1/images/7/thumbnail`."""
        return await self._send(calls.file(path, params))

    async def _send(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            try:
                response = await self._http.request(call.method, call.path, **call.arguments())
            except httpx.TransportError as exc:
                pause = self._retries.pause_after_failure(call, exc, attempt)
                if pause is None:
                    raise ConnectionFailedError(f"{call.method} {call.path}: {type(exc).__name__}: {exc}") from exc
            else:
                pause = self._retries.pause_after_answer(call, response, attempt)
                if pause is None:
                    return calls.read_answer(call, response)
            await asyncio.sleep(pause)
            attempt += 1
