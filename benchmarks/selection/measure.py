"""One selection, measured in a process of its own: `python -m benchmarks.selection.measure TASK`."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from active_learning.registry import strategy
from benchmarks.child import forget_peak, main, memory_mb
from benchmarks.selection.pool import make_pool

_WARM_UP = 300


def measure(task: Mapping[str, Any]) -> dict[str, float]:
    """Return seconds and memory of the call of one strategy; making the pool counts in neither.

    A small pool goes before, so that libraries are loaded and threads started, as in a worker that lives on.
    """
    select = strategy(task["strategy"])
    select(make_pool(task["strategy"], _WARM_UP, task["seed"]), 10, np.random.default_rng(0))
    pool = make_pool(task["strategy"], task["n_images"], task["seed"])
    gc.collect()
    forget_peak()
    input_mb = memory_mb("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    found = select(pool, task["query_size"], np.random.default_rng(task["seed"]))
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    if len(found) != min(task["query_size"], task["n_images"]):
        raise AssertionError(f"{task['strategy']} returned {len(found)} images.")
    return {"seconds": seconds, "cpu_s": cpu_s, "input_mb": input_mb, "peak_mb": memory_mb("VmHWM")}


if __name__ == "__main__":
    main(measure)
