"""From single runs to one row for each comparison: paired by seed, with the spread. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.child import FAILED
from benchmarks.peers.sides import OURS

Run = Mapping[str, Any]

FIGURES = ("radius_max", "radius_mean", "kernel_coverage", "clusters_found")
# What each method makes small or large by itself, and so is judged by.
JUDGED_BY = {"core-set": "radius_max", "TypiClust": "kernel_coverage", "MaxHerding": "kernel_coverage"}
SMALLER_IS_BETTER = frozenset({"radius_max", "radius_mean"})
# Below this share two figures are the same but for rounding.
SAME = 1e-3


def compare(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each method, peer and size: both sides' medians, and the ratios seed by seed."""
    keys = dict.fromkeys((r["n_images"], r["method"], r["side"]) for r in runs if r["side"] != OURS)
    return [_row(n_images, method, side, runs) for n_images, method, side in keys]


def advantage(figure: str, ours: float, theirs: float) -> float:
    """Return by which share our figure is better: 0.1 for a radius of 1 beside 1.1, and 0.55 beside 0.5 covered."""
    better, other = (theirs, ours) if figure in SMALLER_IS_BETTER else (ours, theirs)
    return better / other - 1.0


def verdict(advantages: Sequence[float]) -> str:
    """Return what the seeds say: equal, better, worse, or that it depends, with the sign of the mean."""
    if all(abs(value) <= SAME for value in advantages):
        return "equal"
    if all(value >= -SAME for value in advantages):
        return "better"
    if all(value <= SAME for value in advantages):
        return "worse"
    return "by seed, better on average" if statistics.mean(advantages) >= 0.0 else "by seed, worse on average"


def _row(n_images: int, method: str, peer: str, runs: Sequence[Run]) -> dict[str, Any]:
    pairs, failure = _pairs(n_images, method, peer, runs)
    row: dict[str, Any] = {"method": method, "peer": peer, "n_images": n_images, "seeds": len(pairs), FAILED: failure}
    ours = [own for own, _ in pairs] or [
        r for r in runs if (r["n_images"], r["method"], r["side"], r.get("peer")) == (n_images, method, OURS, peer)
    ]
    row["seconds_ours"] = _spread([run["seconds"] for run in ours if FAILED not in run])
    row["seconds_theirs"] = _spread([theirs["seconds"] for _, theirs in pairs])
    row["times_faster"] = _spread([theirs["seconds"] / own["seconds"] for own, theirs in pairs])
    # Some kernels count CPU time in ticks: a choice within one tick has none.
    counted = [(own, theirs) for own, theirs in pairs if own["cpu_s"] and theirs["cpu_s"]]
    row["times_faster_cpu"] = _spread([theirs["cpu_s"] / own["cpu_s"] for own, theirs in counted])
    for figure in FIGURES:
        row[figure] = {
            "ours": _spread([run[figure] for run in ours if FAILED not in run]),
            "theirs": _spread([theirs[figure] for _, theirs in pairs]),
            "advantage": _spread([advantage(figure, own[figure], theirs[figure]) for own, theirs in pairs])
            if all(own[figure] and theirs[figure] for own, theirs in pairs)
            else None,
        }
    judged = JUDGED_BY[method]
    row["judged_by"] = judged
    values = [advantage(judged, own[judged], theirs[judged]) for own, theirs in pairs]
    row["coverage"] = verdict(values) if values else None
    return row


def _pairs(n_images: int, method: str, peer: str, runs: Sequence[Run]) -> tuple[list[tuple[Run, Run]], str | None]:
    """Return our run and the peer's of the same seed, ours that ran just before, and why a pair is missing."""
    found, failure = [], None
    own: Run | None = None
    for run in runs:
        if (run["n_images"], run["method"], run["peer"]) != (n_images, method, peer):
            continue
        if run["side"] == OURS:
            own = run
        elif FAILED in run:
            failure = run[FAILED]
        elif own is not None and FAILED not in own and own["seed"] == run["seed"]:
            found.append((own, run))
    return found, failure


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    found = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: float(f"{value:.5g}") for name, value in found.items()}
