"""A long load at a share of what our API can do: errors, tails, and whether memory grows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.serving.contest import Contest, load
from benchmarks.serving.process import Watch
from benchmarks.serving.sides import Place, ours

_CAPACITY_S = 10.0
_MEMORY_EVERY_S = 1.0
# Caches fill and threads start in the first part; the slope is that of the rest.
_SETTLED_FROM = 0.2
_SECONDS_OF_AN_HOUR = 3600.0


def endure(place: Place, precision: str, minutes: float, share: float) -> dict[str, Any]:
    """Load our API at a share of its measured capacity for so long, and return what was seen.

    `memory_mb_per_hour` is the slope of a straight line through the memory of all processes, after the first fifth.
    """
    name = f"ours {precision}"
    contest = Contest(place, {name: partial(ours, precision, name, {}, False)})
    try:
        side = contest.side(name)
        capacity = load(side, _CAPACITY_S, concurrency=8)["requests_per_s"]
        with Watch(side.server, _MEMORY_EVERY_S) as watch:
            found = load(side, minutes * 60.0, rate=capacity * share)
    finally:
        contest.close()
    return {
        "precision": precision,
        "capacity_per_s": capacity,
        "share": share,
        "minutes": minutes,
        **found,
        "p99_over_p50": round(found["p99_ms"] / found["p50_ms"], 3) if found["p50_ms"] else None,
        "cpu_ms": round(watch.cpu_s / max(1, found["n_requests"]) * 1000.0, 3),
        "peak_mb": round(watch.peak_mb, 1),
        "memory_mb_per_hour": slope_mb_per_hour(watch.samples),
        "memory_mb": [round(held, 1) for _, held in watch.samples[:: max(1, len(watch.samples) // 60)]],
    }


def slope_mb_per_hour(samples: list[tuple[float, float]]) -> float | None:
    """Return the slope of the samples (seconds, megabytes) after the first fifth; None for fewer than three."""
    settled = samples[int(len(samples) * _SETTLED_FROM) :]
    if len(settled) < 3:
        return None
    moments, held = np.array(settled).T
    return round(float(np.polyfit(moments, held, 1)[0]) * _SECONDS_OF_AN_HOUR, 2)
