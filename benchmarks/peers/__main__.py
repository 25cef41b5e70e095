"""Our strategies beside those of scikit-activeml and small-text: `python -m benchmarks.peers --json FILE`.

Both sides choose as many images from the same embeddings with the same labeled set, in turns (ours, theirs, ours,
theirs), each in a process of its own. A peer that takes too long or too much memory is stopped, and that is said.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.child import FAILED, run_child
from benchmarks.options import measurement_parser, numbers
from benchmarks.peers.page import page, readable
from benchmarks.peers.sides import METHODS, OURS
from benchmarks.peers.summary import compare
from benchmarks.report import environment, print_table, write_report, write_whole

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "scikit-activeml", "small-text")
_SIZES = (2_000, 10_000, 50_000)
_MEASURE = "benchmarks.peers.measure"
# A process may take so long by the clock beside the CPU time of its choice: loading libraries, making and judging.
_START_S = 1_200.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and write the files. Returns an exit code."""
    options = _options(arguments)
    runs: list[dict[str, Any]] = []
    if options.keep:
        runs = json.loads(Path(options.json).read_text(encoding="utf-8"))["runs"]
    done = {(run["seed"], run["n_images"]) for run in runs}
    given_up: set[tuple[int, str, str]] = set()
    for seed, n_images in product(options.seeds, sorted(options.images)):
        if (seed, n_images) in done:
            continue
        for run in _runs(n_images, seed, given_up, options):
            said = run.get(FAILED) or f"{run['seconds']:.2f} s"
            print(f"seed {seed}, {n_images:,} images, {run['method']}, {run['side']}: {said}", file=sys.stderr)
            runs.append(run)
        # After every size, so that a run that is stopped leaves what it found.
        _write(runs, options)
    print_table(readable(compare(runs)), f"{options.n_chosen} images chosen, {options.threads} threads")
    return 0


def _runs(
    n_images: int, seed: int, given_up: set[tuple[int, str, str]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield one run of each side of each comparison, and note in `given_up` what need not be tried again."""
    pairs = [(method, peer) for method, sides in METHODS.items() for peer in sides if peer != OURS]
    for method, peer in pairs:
        if (n_images, method, peer) in given_up:
            continue
        for side in (OURS, peer):
            run = _run(n_images, seed, method, side, options)
            yield {**run, "peer": peer}
            if FAILED in run:
                given_up.add((n_images, method, peer))


def _run(n_images: int, seed: int, method: str, side: str, options: argparse.Namespace) -> dict[str, Any]:
    task = {"method": method, "side": side, "n_images": n_images, "seed": seed, "n_chosen": options.n_chosen}
    limits = {"limit_s": options.limit_s, "limit_gib": options.limit_gib}
    found = run_child(_MEASURE, task | limits, options.threads, options.limit_s + _START_S)
    return {**task, **found, "load": round(os.getloadavg()[0], 1)}


def _write(runs: list[dict[str, Any]], options: argparse.Namespace) -> None:
    content = {
        "settings": {
            "n_chosen": options.n_chosen,
            "seeds": sorted({run["seed"] for run in runs}),
            "threads": options.threads,
            "limit_s": options.limit_s,
            "limit_gib": options.limit_gib,
            "busy": options.busy,
        },
        "results": compare(runs),
        "runs": runs,
        **environment(_LIBRARIES),
    }
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = measurement_parser("benchmarks.peers", __doc__, kept="seeds and sizes")
    parser.add_argument("--n-chosen", type=int, default=100, help="images chosen (%(default)s)")
    parser.add_argument("--seeds", type=numbers, default=[1, 2, 3, 4, 5], help="of pools and draws (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=120.0, help="CPU seconds of a choice (%(default)s)")
    parser.add_argument("--limit-gib", type=float, default=12.0, help="memory of a process (%(default)s)")
    options = parser.parse_args(arguments)
    options.images = options.images or list(_SIZES)
    return options


if __name__ == "__main__":
    sys.exit(main())
