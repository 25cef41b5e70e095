"""The load generator, a process of its own: `python -m benchmarks.serving.load TASK`, figures as JSON.

Requests are whole HTTP messages, prepared in files; connections are kept. Closed loop: so many connections, each with
one request under way. Open loop: requests are due at a steady rate, and latency counts from when one was due.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_VERSION = re.compile(rb'"model_version":\s*"(\d+)"')
_CLASS = re.compile(rb'"damage_class":\s*"([^"]*)"')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)
_GOOD = 200
_ANSWER_S = 120.0


class Answer(NamedTuple):
    """One request: when it was due and when it ended, seconds from the start; `status` 0 when no answer came."""

    due_s: float
    ended_s: float
    status: int
    version: str
    is_mixed: bool


class Loop:
    """Sends requests and keeps what came of each."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        files = sorted(Path(task["requests"]).glob("*.http"))
        self._requests = [path.read_bytes() for path in files]
        self._port = int(task["port"])
        self._keeps_versions = bool(task.get("versions"))
        self._number = count(int(task.get("first", 0)))
        self.answers: list[Answer] = []
        self.began = 0.0

    async def closed(self, concurrency: int, seconds: float) -> None:
        """Keep so many requests under way for so long; those under way at the end are waited for."""
        self._begin()
        await asyncio.gather(*(self._one_after_another(seconds) for _ in range(concurrency)))

    async def open(self, rate: float, seconds: float) -> None:
        """Send requests at a steady rate, whether or not earlier ones are answered."""
        self._begin()
        due: asyncio.Queue[float | None] = asyncio.Queue()
        n_connections = 64
        workers = [asyncio.create_task(self._as_due(due)) for _ in range(n_connections)]
        for number in range(int(rate * seconds)):
            await asyncio.sleep(self.began + number / rate - time.perf_counter())
            due.put_nowait(number / rate)
        for _ in workers:
            due.put_nowait(None)
        await asyncio.gather(*workers)

    def _begin(self) -> None:
        self.began = time.perf_counter()

    def _now(self) -> float:
        return time.perf_counter() - self.began

    async def _one_after_another(self, seconds: float) -> None:
        connection = Connection(self._port)
        while self._now() < seconds:
            await self._ask(connection, self._now())
        connection.close()

    async def _as_due(self, due: asyncio.Queue[float | None]) -> None:
        connection = Connection(self._port)
        while (moment := await due.get()) is not None:
            await self._ask(connection, moment)
        connection.close()

    async def _ask(self, connection: Connection, due_s: float) -> None:
        request = self._requests[next(self._number) % len(self._requests)]
        try:
            status, body = await asyncio.wait_for(connection.ask(request), _ANSWER_S)
        except (OSError, EOFError, TimeoutError, ValueError):
            connection.close()
            self.answers.append(Answer(due_s, self._now(), 0, "", False))
            await asyncio.sleep(0.05)
            return
        version, is_mixed = _version_of(body) if self._keeps_versions else ("", False)
        self.answers.append(Answer(due_s, self._now(), status, version, is_mixed))


class Connection:
    """One kept connection; it is opened anew when the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._body(self._reader, head)
        if _CLOSE.search(head):
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        length = _LENGTH.search(head)
        if length:
            return await reader.readexactly(int(length[1]))
        if not _CHUNKED.search(head):
            raise ValueError("an answer without a length")
        parts = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(parts)


def _version_of(body: bytes) -> tuple[str, bool]:
    """Return the version of an answer, and whether a class of another version's is in it.

    For this the versions' releases name their classes apart: those of version 2 end in " 2".
    """
    found = _VERSION.search(body)
    version = found[1].decode() if found else ""
    marks = {"2" if name.endswith(b" 2") else "1" for name in _CLASS.findall(body)}
    return version, bool(marks - {version})


def figures(answers: list[Answer], seconds: float) -> dict[str, Any]:
    """Return requests a second, latencies in milliseconds and errors. Latencies are those of good answers."""
    good = [answer for answer in answers if answer.status == _GOOD]
    latencies = np.array([answer.ended_s - answer.due_s for answer in good]) * 1000.0
    ended = max((answer.ended_s for answer in answers), default=seconds)
    shares = {f"p{q}_ms": round(float(np.percentile(latencies, q)), 3) if len(good) else None for q in (50, 95, 99)}
    return {
        "n_requests": len(answers),
        "n_errors": len(answers) - len(good),
        "statuses": dict(sorted(Counter(str(answer.status) for answer in answers).items())),
        "seconds": round(ended, 3),
        "requests_per_s": round(len(good) / max(ended, seconds), 3),
        **shares,
    }


def _timeline(answers: list[Answer]) -> Iterator[dict[str, Any]]:
    for answer in answers:
        yield {**answer._asdict(), "due_s": round(answer.due_s, 4), "ended_s": round(answer.ended_s, 4)}


async def _run(task: Mapping[str, Any]) -> dict[str, Any]:
    loop = Loop(task)
    started_at = time.time()
    if task.get("rate"):
        await loop.open(float(task["rate"]), float(task["seconds"]))
    else:
        await loop.closed(int(task["concurrency"]), float(task["seconds"]))
    found = figures(loop.answers, float(task["seconds"]))
    if task.get("latencies"):
        found["latencies_ms"] = [round((a.ended_s - a.due_s) * 1000, 2) for a in loop.answers if a.status == _GOOD]
    if task.get("versions"):
        found |= {"started_at": started_at, "timeline": list(_timeline(loop.answers))}
    return found


def main() -> None:
    """Load as the task on the command line says."""
    task = json.loads(sys.argv[1])
    try:
        import uvloop
    except ImportError:
        print(json.dumps(asyncio.run(_run(task))))
        return
    print(json.dumps(uvloop.run(_run(task))))


if __name__ == "__main__":
    main()
