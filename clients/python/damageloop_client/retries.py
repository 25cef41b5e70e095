"""When a call is tried again, and how long it waits before."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import httpx

from damageloop_client.calls import Call, retry_after_s

# The request came in too slowly; busy or without a model; a gateway that did not reach the platform.
_WORTH_WAITING = frozenset({408, 429, 502, 503, 504})
# The first of two equal requests is still in work.
_IN_FLIGHT = 409


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long.

    Attributes:
        attempts: Tries in all; 1 never tries again.
        first_pause_s: The pause after the first try; it doubles each time, and half of it is left to chance.
        longest_pause_s: No pause is longer; a longer `Retry-After` ends the tries.
    """

    attempts: int = 4
    first_pause_s: float = 0.2
    longest_pause_s: float = 30.0
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def pause_after_answer(self, call: Call[Any], response: httpx.Response, attempt: int) -> float | None:
        """Return the seconds to wait before the next try, None when the answer stands. `attempt` counts from 1."""
        is_transient = response.status_code in _WORTH_WAITING or (
            response.status_code == _IN_FLIGHT and retry_after_s(response) is not None
        )
        if not is_transient or not self._may_go_on(call, attempt):
            return None
        asked = retry_after_s(response)
        if asked is not None:
            return asked if asked <= self.longest_pause_s else None
        return self._pause(attempt)

    def pause_after_failure(self, call: Call[Any], error: httpx.TransportError, attempt: int) -> float | None:
        """Return the seconds to wait after there was no answer, None to give up."""
        was_not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        if attempt >= self.attempts or not (was_not_sent or call.is_repeatable):
            return None
        return self._pause(attempt)

    def _may_go_on(self, call: Call[Any], attempt: int) -> bool:
        return attempt < self.attempts and call.is_repeatable

    def _pause(self, attempt: int) -> float:
        longest = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (attempt - 1))
        return longest * (0.5 + 0.5 * self.rng.random())
