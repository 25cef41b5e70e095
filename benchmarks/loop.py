"""Seconds from the last needed annotation to the start of training: `python -m benchmarks.loop --json FILE`.

A real embedded platform in a temporary home: Label Studio, webhook, API, workers, beat, DVC, MLflow. All but one of the
annotations that a snapshot needs are there; the last is submitted through Label Studio, and the clock runs until the
training's job begins. What paces the loop is as params.yaml has it; only the size of the pool, of the training and of
`retrain.min_new_annotations` is small.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.loop_figures import TARGET_S, page, summary, way_to_training
from benchmarks.loop_platform import OVERRIDES, MeasuredPlatform
from benchmarks.report import environment, print_table, write_report, write_whole

_LIBRARIES = ("celery", "dvc", "mlflow", "sqlalchemy")


def main() -> None:
    """Measure, print the tables and write the JSON file."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="damageloop-loop-", ignore_cleanup_errors=True) as folder:
        platform = MeasuredPlatform(Path(options.home or folder), _say)
        try:
            platform.start()
            repeats = [_measure(platform, number, options.repeats) for number in range(1, options.repeats + 1)]
        finally:
            platform.stop()
    rows = summary(repeats)
    total = rows[-1]
    print_table([_rounded(repeat) for repeat in repeats], "Seconds from the last annotation to the start of training")
    print_table(rows, "By part")
    print(f"\nMedian {total['median_s']:.1f} s, promised at most {TARGET_S:.0f} s.", file=sys.stderr)
    content: dict[str, Any] = {
        "results": repeats,
        "summary": rows,
        "target_s": TARGET_S,
        "is_met": total["median_s"] <= TARGET_S,
        "overrides": OVERRIDES,
        "busy": options.busy,
    }
    content |= environment(_LIBRARIES)
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))


def _measure(platform: MeasuredPlatform, number: int, n_repeats: int) -> dict[str, Any]:
    _say(f"[{number}/{n_repeats}] preparing")
    platform.prepare()
    load = os.getloadavg()[0]
    submitted_at = datetime.now(UTC)
    platform.submit_last()
    found: dict[str, float] = platform.wait(
        "the start of the training", lambda: way_to_training(submitted_at, platform.jobs()), timeout_s=300.0
    )
    _say(f"[{number}/{n_repeats}] {found['total']:.1f} s")
    return {**found, "load_1min": round(load, 2)}


def _rounded(repeat: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 2) for name, value in repeat.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--markdown", type=Path, help="where the page for people goes")
    parser.add_argument("--repeats", type=int, default=3, help="snapshots and trainings to measure (%(default)s)")
    parser.add_argument("--home", type=Path, help="an empty folder to make the platform in, kept afterwards")
    parser.add_argument("--busy", action="store_true", help="say that other work ran on the machine meanwhile")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
