"""Requests with an idempotency key: the first is done, its repetitions get the answer of the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from damageloop.domain.idempotency import IdempotentRequest
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory

# A request that is in work for longer has died with its process. Longer than any takes once its body is read, unless
# `serving.deadline_s` is long.
LEASE = timedelta(seconds=60)
RETRY_AFTER_S = 1


class IdempotencyKeyReusedError(InvalidInputError):
    """The same idempotency key came with another request."""

    code = "idempotency_key_reused"


class IdempotencyInFlightError(ConflictError):
    """The first request with this idempotency key is still in work."""

    code = "idempotency_in_flight"
    retry_after_s = RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Remembers requests by key of the API and idempotency key, for as long as `retention.idempotency_hours` says."""

    units: UnitOfWorkFactory
    clock: Clock
    lease: timedelta = LEASE

    def begin(self, api_key_id: int, key: str, route: str, fingerprint: str) -> IdempotentRequest:
        """Return the request: without status it is the caller's to do and then to `finish` or `drop`.

        With a status it was answered before.

        Raises:
            IdempotencyKeyReusedError: If the key came with another fingerprint or route before.
            IdempotencyInFlightError: If the first is still in work.
        """
        now = self.clock.now()
        asked = IdempotentRequest(api_key_id, key, route, fingerprint, now)
        with self.units() as work:
            found = work.idempotency.begin(asked, died_before=now - self.lease)
            work.commit()
        if (found.fingerprint, found.route) != (fingerprint, route):
            raise IdempotencyKeyReusedError("This Idempotency-Key was sent with another request before.")
        if found.status is None and found is not asked:
            raise IdempotencyInFlightError("The first request with this Idempotency-Key is still in work.")
        return found

    def finish(self, request: IdempotentRequest, status: int, answer: Mapping[str, Any]) -> None:
        """Keep the answer for those who ask again."""
        with self.units() as work:
            work.idempotency.finish(request, status, answer)
            work.commit()

    def drop(self, request: IdempotentRequest) -> None:
        """Forget a request that came to nothing, so that it may be sent again."""
        with self.units() as work:
            work.idempotency.drop(request)
            work.commit()
