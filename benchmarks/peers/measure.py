"""One side's choice, measured in a process of its own: `python -m benchmarks.peers.measure TASK`."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from active_learning.arrays import IntArray
from benchmarks.child import forget_peak, limit_memory, limit_time, main, memory_mb
from benchmarks.peers.contest import Contest, make_contest
from benchmarks.peers.coverage import distances_to_nearest, kernel_coverage, radius_of, share_found
from benchmarks.peers.sides import METHODS

_WARM_UP = 800


def measure(task: Mapping[str, Any]) -> dict[str, float]:
    """Return seconds, memory and coverage of one choice; libraries are loaded and warm before the clock starts."""
    choose = METHODS[task["method"]][task["side"]]
    choose(make_contest(_WARM_UP, task["seed"]), 5, task["seed"])
    contest = make_contest(task["n_images"], task["seed"])
    gc.collect()
    limit_memory(task["limit_gib"])
    forget_peak()
    input_mb = memory_mb("VmRSS")
    limit_time(task["limit_s"])
    start, cpu = time.perf_counter(), time.process_time()
    chosen = choose(contest, task["n_chosen"], task["seed"])
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    limit_time(0.0)
    added_mb = memory_mb("VmHWM") - input_mb
    return {"seconds": seconds, "cpu_s": cpu_s, "added_mb": added_mb, **figures(contest, chosen)}


def figures(contest: Contest, chosen: IntArray) -> dict[str, float]:
    """Return how well the chosen images, with the labeled ones, stand for the pool."""
    if len(np.unique(chosen)) != len(chosen) or chosen.max() >= len(contest.points):
        raise AssertionError("The choice names an image twice or a labeled one.")
    centres = np.concatenate((contest.labeled, contest.points[chosen]))
    distances = distances_to_nearest(contest.points, centres)
    radius_max, radius_mean = radius_of(distances)
    return {
        "radius_max": radius_max,
        "radius_mean": radius_mean,
        "kernel_coverage": kernel_coverage(distances, contest.radius),
        "clusters_found": share_found(contest.clusters, contest.labeled_clusters, chosen),
    }


if __name__ == "__main__":
    main(measure)
