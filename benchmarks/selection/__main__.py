"""Seconds and memory of each query strategy by size of the pool: `python -m benchmarks.selection --json FILE`.

Every measurement has a process of its own. Repeats go round over all strategies, so that a busy minute of the
machine does not fall on one of them alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from active_learning.registry import names, strategy
from benchmarks.child import FAILED, run_child
from benchmarks.options import measurement_parser
from benchmarks.report import environment, print_table, write_report, write_whole
from benchmarks.selection.page import page, readable
from benchmarks.selection.scaling import MILLION, exponents, verdicts
from damageloop.errors import DamageloopError

_LIBRARIES = ("numpy", "scipy", "scikit-learn")
_SIZES = (10_000, 100_000, MILLION)
_MEASURE = "benchmarks.selection.measure"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the files. Returns an exit code."""
    options = _options(arguments)
    try:
        for name in options.strategies:
            strategy(name)
    except DamageloopError as exc:
        print(exc, file=sys.stderr)
        return 1
    rows = _kept(options)
    for n_images in sorted(options.images):
        found: list[dict[str, Any]] = []
        for found in _rounds(n_images, options):
            # After every round, so that a run that is stopped leaves what it found.
            _write(sorted(rows + found, key=lambda row: row["n_images"]), options)
        rows += found
    print_table(readable(rows), f"Selection of {options.query_size} images, {options.threads} threads")
    print_table(exponents(rows), "Exponent of the time over the size of the pool")
    print_table(verdicts(rows), "Targets")
    return 0


def _kept(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of an earlier run for sizes that are not measured now."""
    if not options.keep:
        return []
    known = json.loads(Path(options.json).read_text(encoding="utf-8"))["results"]
    return [row for row in known if row["n_images"] not in options.images]


def _rounds(n_images: int, options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """Measure each strategy once more and yield the rows so far, as often as there are repeats."""
    n_repeats = options.repeats if n_images < MILLION else min(options.repeats, options.large_repeats)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.strategies}
    for repeat in range(n_repeats):
        for name, found in runs.items():
            if any(FAILED in run for run in found):
                continue
            task = {"strategy": name, "n_images": n_images, "query_size": options.query_size, "seed": options.seed}
            run = run_child(_MEASURE, task, options.threads, options.limit_s)
            found.append({**run, "load": os.getloadavg()[0]})
            said = run.get(FAILED) or f"{run['seconds']:.2f} s"
            print(f"{n_images:,} images, {repeat + 1} of {n_repeats}, {name}: {said}", file=sys.stderr)
        yield [summary(name, n_images, options.query_size, found) for name, found in runs.items()]


def summary(name: str, n_images: int, query_size: int, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one row of the report: median, lowest and highest seconds, and the most memory of all runs."""
    measured = [run for run in runs if FAILED not in run]
    seconds = [run["seconds"] for run in measured]
    failure = next((run[FAILED] for run in runs if FAILED in run), None)
    if failure is not None:
        seconds, measured = [], []
    return {
        "strategy": name,
        "n_images": n_images,
        "query_size": query_size,
        "seconds": round(statistics.median(seconds), 5) if seconds else None,
        "seconds_low": round(min(seconds), 5) if seconds else None,
        "seconds_high": round(max(seconds), 5) if seconds else None,
        "cpu_s": round(statistics.median(run["cpu_s"] for run in measured), 5) if measured else None,
        "peak_mb": round(max(run["peak_mb"] for run in measured)) if measured else None,
        "added_mb": round(max(run["peak_mb"] - run["input_mb"] for run in measured)) if measured else None,
        "repeats": len(seconds),
        "load": round(statistics.mean(run["load"] for run in runs), 1),
        FAILED: failure,
    }


def _write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    content = {
        "note": "Pools are generated: clustered embeddings, boxes as a detector with eight classes might find them.",
        "settings": {
            "threads": options.threads,
            "seed": options.seed,
            "limit_s": options.limit_s,
            "busy": options.busy,
            "load_average_at_the_end": [round(value, 1) for value in os.getloadavg()],
        },
        "results": rows,
        "exponents": exponents(rows),
        "targets": verdicts(rows),
        **environment(_LIBRARIES),
    }
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = measurement_parser("benchmarks.selection", __doc__, kept="rows of other sizes")
    parser.add_argument("--query-size", type=int, default=1_000, help="images chosen (%(default)s)")
    parser.add_argument("--strategies", default=",".join(names()), help="(%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement (%(default)s)")
    parser.add_argument("--large-repeats", type=int, default=2, help="from a million images on (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the pool and the selection (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=600.0, help="a measurement is stopped then (%(default)s)")
    options = parser.parse_args(arguments)
    options.images = options.images or list(_SIZES)
    options.strategies = options.strategies.split(",")
    return options


if __name__ == "__main__":
    sys.exit(main())
