"""Photos until drift is found and false alarms: `python -m benchmarks.drift --json FILE`.

Generated photos, and real ones from `--real FOLDER`, are changed physically: less light with shot and read noise and
another white balance, blur, compression, another camera; and another mix of damages. The starter model answers them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.drift.conditions import CHANGES, unchanged
from benchmarks.drift.detection import Watch, false_alarms, images_until_found
from benchmarks.drift.observe import Observer, Source, generated, make_observer, real
from benchmarks.report import environment, print_table, write_report
from damageloop.bootstrap.core import template
from damageloop.domain.drift.columns import Observation
from damageloop.params import Params, load_params

MAX_FALSE_ALARMS = 5
MAX_IMAGES = 200
OTHER_MIX = "other_damage_mix"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the file. Returns an exit code."""
    options = _options(arguments)
    warnings.filterwarnings("ignore")
    from damageloop.adapters.evidently import EvidentlyComparison

    params = load_params(template("params.yaml"))
    observer, _exporter = make_observer(params)
    watch = Watch(EvidentlyComparison(), params)
    results = []
    for name, sources in _materials(options):
        _say(f"{name}: {len(sources)} photos")
        results.append(_measured(name, sources, observer, watch, options, params))
    report = {**environment(("numpy", "scipy", "evidently", "openvino")), "results": results}
    for found in results:
        print_table([found["null"]], f"{found['photos_from']}: windows where nothing changed")
        print_table(found["conditions"], f"{found['photos_from']}: photos until it was found")
    write_report(options.json, report)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--images", type=int, default=600, help="photos of each kind (%(default)s)")
    parser.add_argument("--reference", type=int, default=200, help="of these the reference (%(default)s)")
    parser.add_argument("--windows", type=int, default=200, help="where nothing changed (%(default)s)")
    parser.add_argument("--repeats", type=int, default=10, help="of each condition (%(default)s)")
    parser.add_argument("--real", type=Path, help="folder of real photos, which are measured too")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def _materials(options: argparse.Namespace) -> list[tuple[str, list[Source]]]:
    found = [("generated", list(generated(options.images, options.seed)))]
    if options.real is not None and options.real.is_dir():
        found.append(("real", real(options.real, options.images, options.seed)))
    return found


def _measured(
    name: str, sources: list[Source], observer: Observer, watch: Watch, options: argparse.Namespace, params: Params
) -> dict[str, Any]:
    pool = observer(sources, unchanged, options.seed)
    n_window = min(params.drift.window_images, len(pool) - options.reference)
    null = false_alarms(watch, pool, options.reference, n_window, options.windows, options.seed)
    _say(f"  {null.n_alarms} false alarms in {null.n_windows} windows")
    changed = {kind: observer(sources, change, options.seed) for kind, change in CHANGES.items()}
    if name == "generated":
        changed[OTHER_MIX] = _other_mix(sources, pool)
    return {
        "photos_from": name,
        "photos": len(pool),
        "reference": options.reference,
        "window": n_window,
        "null": {
            "windows": null.n_windows,
            "false_alarms": null.n_alarms,
            "at_most": MAX_FALSE_ALARMS,
            "by": ", ".join(f"{column} {n}" for column, n in null.columns.most_common()) or "none",
        },
        "conditions": [
            _condition(kind, watch, pool, observed, options.reference, n_window, options)
            for kind, observed in changed.items()
        ],
    }


def _other_mix(sources: list[Source], pool: list[Observation]) -> list[Observation]:
    """Return as many photos of damage alone: the same photos, in another mixture."""
    damaged = [seen for source, seen in zip(sources, pool, strict=True) if source.is_damaged]
    return [damaged[i % len(damaged)] for i in range(len(pool))]


def _condition(
    kind: str,
    watch: Watch,
    pool: list[Observation],
    changed: list[Observation],
    n_reference: int,
    n_window: int,
    options: argparse.Namespace,
) -> dict[str, Any]:
    _say(f"  {kind}")
    runs = [
        images_until_found(watch, pool, changed, n_reference, n_window, options.seed + n, _say)
        for n in range(options.repeats)
    ]
    found = sorted(n for n, _ in runs if n is not None)
    first = [columns[0] for n, columns in runs if n is not None]
    return {
        "condition": kind,
        "found": f"{len(found)} of {len(runs)}",
        "median_images": statistics.median(found) if found else None,
        "most_images": found[-1] if found else None,
        "at_most": MAX_IMAGES,
        "by": statistics.mode(first) if first else None,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
