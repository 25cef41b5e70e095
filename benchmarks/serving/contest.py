"""Turns: every side is measured in each round, one after another, while all others are paused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.process import StartError, Watch
from benchmarks.serving.sides import MakeSide, Place, Side

_LOAD = "benchmarks.serving.load"
_FIRST_WARM_UP_S = 3.0
_WARM_UP_CONCURRENCY = 4
_WARM_UP_S = 0.5
# Servers that are paused keep their memory; below this share of what there is they are ended instead.
_LEAST_FREE = 0.2
_SLOWEST_ANSWERS_S = 180.0


def load(side: Side, seconds: float, **task: Any) -> dict[str, Any]:
    """Let the load generator ask a side; return its figures. Raises StartError when the generator broke."""
    told = {"port": side.port, "requests": str(side.requests), "seconds": seconds, **task}
    command = [sys.executable, "-m", _LOAD, json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _SLOWEST_ANSWERS_S)
    if done.returncode:
        raise StartError(f"the load generator ended: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Contest:
    """The servers of a run.

    Args:
        place: Files of the run.
        makers: What makes each side, by name.
    """

    def __init__(self, place: Place, makers: Mapping[str, MakeSide]) -> None:
        self._place = place
        self._makers = dict(makers)
        self._sides: dict[str, Side] = {}
        self.failures: dict[str, str] = {}
        self.starts_s: dict[str, list[float]] = {}

    @property
    def names(self) -> list[str]:
        """Return the sides that still take part."""
        return [name for name in self._makers if name not in self.failures]

    def side(self, name: str) -> Side:
        """Return a side with its server running, started or let go on. Raises StartError."""
        if name not in self._sides:
            try:
                self._sides[name] = self._makers[name](self._place)
            except Exception as exc:
                # Whatever it is: a side that can't be made is told as such and costs the others nothing.
                raise StartError(f"it could not be prepared: {type(exc).__name__}: {exc}") from exc
        side = self._sides[name]
        if side.server.is_running:
            side.server.go_on()
        else:
            side.server.start()
            self.starts_s.setdefault(name, []).append(round(side.server.start_s, 3))
        return side

    def turn(self, name: str, concurrencies: Sequence[int], seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the figures of one side at each concurrency; a side that fails is left out from now on."""
        try:
            is_first = name not in self.starts_s
            side = self.side(name)
            # Each process of a server loads its model with its first requests.
            load(side, _FIRST_WARM_UP_S if is_first else _WARM_UP_S, concurrency=_WARM_UP_CONCURRENCY)
            for concurrency in concurrencies:
                yield self._measure(side, concurrency, seconds)
        except (StartError, subprocess.TimeoutExpired) as exc:
            self.failures[name] = str(exc)
            self._end(name)
        finally:
            self._rest(name)

    def restart(self, name: str) -> None:
        """End a side and start it again, for the time that takes. Raises StartError."""
        self._end(name)
        self.side(name)
        self._rest(name)

    def close(self) -> None:
        """End all servers."""
        for name in self._sides:
            self._end(name)

    def _measure(self, side: Side, concurrency: int, seconds: float) -> dict[str, Any]:
        with Watch(side.server) as watch:
            found = load(side, seconds, concurrency=concurrency)
        n = max(1, found["n_requests"])
        return {
            "side": side.name,
            "concurrency": concurrency,
            "precision": side.precision,
            "workers": side.workers,
            "images_per_request": side.n_images,
            **found,
            "images_per_s": round(found["requests_per_s"] * side.n_images, 3),
            "cpu_ms": round(watch.cpu_s / n * 1000.0, 3),
            "peak_mb": round(watch.peak_mb, 1),
            "load": round(os.getloadavg()[0], 2),
        }

    def _rest(self, name: str) -> None:
        side = self._sides.get(name)
        if side is None or not side.server.is_running:
            return
        memory = psutil.virtual_memory()
        if memory.available < _LEAST_FREE * memory.total:
            side.server.end()
        else:
            side.server.pause()

    def _end(self, name: str) -> None:
        side = self._sides.get(name)
        if side is not None:
            side.server.end()


@dataclass
class BareSide:
    """The pipeline without a server, as a child that takes turns."""

    name: str
    task: Mapping[str, Any]
    _process: subprocess.Popen[str] | None = None
    start_s: float = 0.0

    def turn(self, seconds: float) -> dict[str, Any]:
        """Return the figures of one turn. Raises StartError."""
        if self._process is None:
            self._start()
        found = self._ask(f"{seconds}\n")
        return {
            "side": self.name,
            "concurrency": 2 if self.task["hint"] == "THROUGHPUT" else 1,
            "precision": self.task["precision"],
            "workers": 1,
            "images_per_request": 1,
            **found,
            "images_per_s": found["requests_per_s"],
            "load": round(os.getloadavg()[0], 2),
        }

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        command = [sys.executable, "-m", "benchmarks.serving.bare", json.dumps(self.task)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.start_s = self._ask("0.5\n", n_lines=2)["start_s"]

    def _ask(self, line: str, n_lines: int = 1) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise StartError("The bare pipeline does not run.")
        process.stdin.write(line)
        process.stdin.flush()
        answers = [process.stdout.readline() for _ in range(n_lines)]
        if not all(answers):
            raise StartError(f"the bare pipeline ended with code {process.wait()}")
        found: dict[str, Any] = json.loads(answers[0])
        return found


def bare_sides(place: Place, precisions: Sequence[str]) -> list[BareSide]:
    """Return the pipelines without a server: in both modes, with and without what active learning reads, and 4:3."""
    material = place.material
    graph = next(material.peer_openvino.glob("*.xml"))
    release = material.release / "model.xml"
    served = {"graph": release, "is_as_served": True}
    square, landscape = (640, 640), (480, 640)
    photos, cut = material.photos[0].parent, material.landscape[0].parent
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("bare", {"graph": graph, "hint": "THROUGHPUT", "size_hw": square, "photos": photos}),
        ("bare LATENCY", {"graph": graph, "hint": "LATENCY", "size_hw": square, "photos": photos}),
        ("graph, boxes alone", {**served, "hint": "THROUGHPUT", "size_hw": square, "photos": photos}),
        (
            "graph, with active learning",
            {**served, "hint": "THROUGHPUT", "size_hw": square, "photos": photos, "has_extras": True},
        ),
        ("graph, 480x640", {**served, "hint": "THROUGHPUT", "size_hw": landscape, "photos": cut}),
        ("graph, 640x640, landscape", {**served, "hint": "THROUGHPUT", "size_hw": square, "photos": cut}),
    ]
    return [
        BareSide(f"{name} {precision}", _plain({**task, "precision": precision}))
        for precision in precisions
        for name, task in kinds
    ]


def _plain(task: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in task.items()}
