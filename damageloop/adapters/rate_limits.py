"""How much somebody may ask for in a minute: counted in this process or, for several, in Redis (library `limits`)."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import SlidingWindowCounterSupport, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from damageloop.ports.serving import Allowance

if TYPE_CHECKING:
    from limits.aio.strategies import SlidingWindowCounterRateLimiter as AsyncLimiter

logger = logging.getLogger(__name__)

MAX_COUNTERS = 10_000
WINDOW_S = 60
# Redis is a stone's throw away, or it is not there: a request does not wait longer to be counted.
TIMEOUT_S = 0.25
RETRY_REDIS_AFTER_S = 10.0
_PREFIX = "damageloop"


class BoundedMemory(Storage, SlidingWindowCounterSupport):
    """Counters in memory; the longest unused ones make room.

    The library's own memory starts a thread for each request that comes after a pause (0.5 ms, measured), and grows
    with the number of those who ask.
    """

    STORAGE_SCHEME = None

    def __init__(self, max_counters: int = MAX_COUNTERS) -> None:
        super().__init__()
        self._max_counters = max_counters
        # (number of the window, requests in it, requests in the one before)
        self._counters: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        self._counting = Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        with self._counting:
            now = time.time()
            number, current, previous = self._counter(key, expiry, now)
            weighted = previous * (1 - now / expiry % 1) + current
            if math.floor(weighted) + amount > limit:
                return False
            self._counters[key] = (number, current + amount, previous)
            self._counters.move_to_end(key)
            if len(self._counters) > self._max_counters:
                self._counters.popitem(last=False)
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        now = time.time()
        _, current, previous = self._counter(key, expiry, now)
        left_s = (1 - now / expiry % 1) * expiry
        return previous, left_s if previous else 0.0, current, left_s + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        self._counters.pop(key, None)

    def _counter(self, key: str, expiry: int, now: float) -> tuple[int, int, int]:
        number = int(now // expiry)
        then, current, previous = self._counters.get(key, (number, 0, 0))
        if then == number:
            return number, current, previous
        return number, 0, current if then == number - 1 else 0

    # What only fixed windows use.

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        self._counters.clear()
        return None

    def clear(self, key: str) -> None:
        self._counters.pop(key, None)


class MemoryLimiter:
    """Implements `RequestLimiter` for one process; never waits."""

    def __init__(self, max_counters: int = MAX_COUNTERS) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(BoundedMemory(max_counters))

    async def take(self, who: str, per_minute: int, is_counted: bool = True) -> Allowance:
        """Count one request, if it is within the limit, or only tell whether it would be."""
        item = RateLimitItemPerMinute(per_minute, namespace=_PREFIX)
        is_granted = self._limiter.hit(item, who) if is_counted else self._limiter.test(item, who)
        stats = self._limiter.get_window_stats(item, who)
        return Allowance(is_granted, per_minute, stats.remaining, _seconds_until(stats.reset_time))


class RedisLimiter:
    """Implements `RequestLimiter` for all processes that share a Redis; while it fails, each counts for itself.

    Args:
        url: `redis://...` or `rediss://...`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._alone = MemoryLimiter()
        self._shared: AsyncLimiter | None = None
        self._try_again_at = 0.0
        self._is_failing = False

    async def take(self, who: str, per_minute: int, is_counted: bool = True) -> Allowance:
        """Count one request, if it is within the limit, or only tell whether it would be."""
        if time.monotonic() < self._try_again_at:
            return await self._alone.take(who, per_minute, is_counted)
        try:
            allowance = await self._take(who, per_minute, is_counted)
        except StorageError as exc:
            self._fail(exc)
            return await self._alone.take(who, per_minute, is_counted)
        if self._is_failing:
            self._is_failing = False
            logger.warning("Redis counts requests again")
        return allowance

    async def _take(self, who: str, per_minute: int, is_counted: bool) -> Allowance:
        item = RateLimitItemPerMinute(per_minute, namespace=_PREFIX)
        limiter = self._connected()
        if await (limiter.hit(item, who) if is_counted else limiter.test(item, who)):
            # What is left would cost a second question.
            return Allowance(True, per_minute, None, WINDOW_S)
        stats = await limiter.get_window_stats(item, who)
        return Allowance(False, per_minute, stats.remaining, _seconds_until(stats.reset_time))

    def _connected(self) -> AsyncLimiter:
        if self._shared is None:
            from limits.aio.storage import RedisStorage
            from limits.aio.strategies import SlidingWindowCounterRateLimiter as AsyncLimiter

            storage = RedisStorage(
                f"async+{self._url}",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix=_PREFIX,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
            )
            self._shared = AsyncLimiter(storage)
        return self._shared

    def _fail(self, exc: Exception) -> None:
        self._try_again_at = time.monotonic() + RETRY_REDIS_AFTER_S
        if not self._is_failing:
            self._is_failing = True
            logger.warning("Redis does not count requests, each process does so for itself: %s", type(exc).__name__)


def make_limiter(broker_url: str) -> MemoryLimiter | RedisLimiter:
    """Return the limiter that suits the broker."""
    if broker_url.startswith(("redis://", "rediss://")):
        return RedisLimiter(broker_url)
    return MemoryLimiter()


def _seconds_until(moment: float) -> int:
    return max(1, math.ceil(moment - time.time()))
