"""Requests are counted in a sliding minute: in memory, in a real Redis, and in memory again while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from damageloop.adapters.rate_limits import BoundedMemory, MemoryLimiter, RedisLimiter, make_limiter
from damageloop.ports.serving import Allowance
from tests.ports import free_port


def take(limiter: MemoryLimiter | RedisLimiter, n: int, who: str = "a", per_minute: int = 3) -> list[Allowance]:
    async def all_of_them() -> list[Allowance]:
        return [await limiter.take(who, per_minute) for _ in range(n)]

    return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    program, port = shutil.which("redis-server"), free_port()
    assert program, "redis-server is missing: scripts/install-test-servers.sh installs it."
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def test_what_is_beyond_the_limit_is_refused_and_others_are_not_touched() -> None:
    limiter = MemoryLimiter()
    assert [a.is_granted for a in take(limiter, 5)] == [True, True, True, False, False]
    assert all(1 <= a.reset_s <= 60 for a in take(limiter, 1))
    assert take(limiter, 1, who="b")[0] == Allowance(True, 3, 2, take(limiter, 1, who="b")[0].reset_s)


def test_a_look_counts_nothing() -> None:
    limiter = MemoryLimiter()
    for _ in range(5):
        assert asyncio.run(limiter.take("a", 1, is_counted=False)).is_granted
    assert [a.is_granted for a in take(limiter, 2, per_minute=1)] == [True, False]


def test_the_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, moment = BoundedMemory(), [600.0]
    monkeypatch.setattr(time, "time", lambda: moment[0])
    assert [memory.acquire_sliding_window_entry("a", 4, 60) for _ in range(5)] == [True] * 4 + [False]
    # Half of the window before still counts for half: 4 * 0.5 = 2, so two more fit.
    moment[0] = 690.0
    assert [memory.acquire_sliding_window_entry("a", 4, 60) for _ in range(3)] == [True, True, False]
    moment[0] = 780.0
    assert memory.get_sliding_window("a", 60)[2] == 0
    moment[0] = 1000.0
    assert [memory.acquire_sliding_window_entry("a", 4, 60) for _ in range(5)] == [True] * 4 + [False]


def test_memory_is_bounded_by_those_who_asked_last() -> None:
    limiter = MemoryLimiter(max_counters=10)
    assert [a.is_granted for a in take(limiter, 2, per_minute=1)] == [True, False]
    for number in range(10):
        take(limiter, 1, who=f"stranger {number}")
    assert take(limiter, 1, per_minute=1)[0].is_granted


def test_processes_that_share_a_redis_share_what_was_asked(redis_url: str) -> None:
    one, other = make_limiter(redis_url), make_limiter(redis_url)
    assert [a.is_granted for a in take(one, 2, who="shared")] == [True, True]
    (third, fourth) = take(other, 2, who="shared")
    assert (third.is_granted, fourth.is_granted) == (True, False)
    assert 1 <= fourth.reset_s <= 60


def test_without_redis_each_process_counts_for_itself_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    limiter = RedisLimiter(f"redis://127.0.0.1:{free_port()}/0")
    with caplog.at_level(logging.WARNING):
        assert [a.is_granted for a in take(limiter, 4)] == [True, True, True, False]
    assert len([record for record in caplog.records if "Redis" in record.message]) == 1


def test_any_other_broker_counts_in_memory() -> None:
    assert isinstance(make_limiter(""), MemoryLimiter)
    assert isinstance(make_limiter("amqp://localhost"), MemoryLimiter)
