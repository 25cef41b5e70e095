"""From rows of jobs to seconds: the way from a submitted annotation to the start of the training it made due."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from benchmarks.report import table_lines

ENDED = frozenset({"succeeded", "failed", "cancelled"})
PARTS = ("read_and_planned", "snapshot_began", "snapshot_made", "training_planned", "training_began")
TARGET_S = 15.0


def way_to_training(submitted_at: datetime, jobs: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Return the seconds of each part of the way and their sum `total`; None while the training has not begun.

    A part ends with: the snapshot's job written down, begun, ended; the training's job written down, begun.

    Args:
        submitted_at: The moment before the last annotation was sent to Label Studio.
        jobs: Jobs as the API lists them; older ones do not matter.
    """
    snapshot = _first_after(submitted_at, jobs, "build_snapshot")
    training = _first_after(submitted_at, jobs, "train_challenger")
    if snapshot is None or snapshot["finished_at"] is None or training is None or training["started_at"] is None:
        return None
    moments = [snapshot["created_at"], snapshot["started_at"], snapshot["finished_at"]]
    moments += [training["created_at"], training["started_at"]]
    ends = [submitted_at, *(datetime.fromisoformat(text) for text in moments)]
    steps = [(end - begin).total_seconds() for begin, end in pairwise(ends)]
    return {**dict(zip(PARTS, steps, strict=True)), "total": sum(steps)}


def summary(repeats: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return median, fastest and slowest of each part and of the whole, one row each."""
    rows = []
    for name in (*PARTS, "total"):
        seconds = [repeat[name] for repeat in repeats]
        spread = {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds)}
        rows.append({"part": name, **{key: round(value, 2) for key, value in spread.items()}})
    return rows


def page(content: Mapping[str, Any]) -> str:
    """Return the page for people."""
    total = content["summary"][-1]
    repeats = [{name: round(value, 2) for name, value in repeat.items()} for repeat in content["results"]]
    busy = " Other work ran on the machine meanwhile." if content["busy"] else ""
    spread = f"{total['min_s']:.1f} to {total['max_s']:.1f}, {len(repeats)} repeats"
    promise = f"promised on two quiet cores: at most {content['target_s']:.0f} s"
    lines = [
        "# From the last annotation to a training",
        "",
        "Written by `python -m benchmarks.loop`; machine, versions and commit are in the JSON file. The platform is",
        f"one of its own, with all its processes; what paces the loop is as params.yaml has it.{busy}",
        "",
        f"**Median {total['median_s']:.1f} s** ({spread}); {promise}.",
        "",
        *table_lines(content["summary"]),
        "",
        *table_lines(repeats),
        "",
        "The parts: the review is taken in, people pause and the snapshot's job is written down; it begins; it ends;",
        "the training's job is written down; it begins. `load_1min` is the machine's load just before.",
    ]
    return "\n".join(lines) + "\n"


def _first_after(moment: datetime, jobs: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    found = [job for job in jobs if job["kind"] == kind and datetime.fromisoformat(job["created_at"]) >= moment]
    return min(found, key=lambda job: int(job["id"])) if found else None
