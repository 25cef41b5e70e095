"""Seconds of a snapshot of changed annotations by labeled images: `python -m benchmarks.snapshots --json FILE`.

The services and the workspace are real: SQLite, git and DVC. Each size has a database of its own with a first snapshot
of everything; then annotations are changed and the next snapshot is timed, several times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import numbers
from benchmarks.report import environment, print_table, table_lines, write_report, write_whole
from benchmarks.selection.scaling import exponent
from benchmarks.snapshots.site import Site, make_site

SIZES = (1_000, 10_000, 100_000)
MAX_SECONDS = 10.0
MAX_EXPONENT = 0.3
_LIBRARIES = ("dvc", "sqlalchemy", "numpy")
_HOW_TO_READ = (
    "Seconds are the median of the runs, with the lowest and the highest. CPU seconds include those of git and DVC. "
    "The exponent is the slope of log seconds over log images: 0 is a time that does not depend on the whole."
)
_NOTE = "Rows without bytes: 5 images of a vehicle, 70 % damaged with 1 to 3 boxes. SQLite, git and DVC are real."


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the files. Returns an exit code."""
    options = _options(arguments)
    rows = []
    for n_images in sorted(options.images or SIZES):
        with tempfile.TemporaryDirectory(prefix="damageloop-snapshots-") as scratch:
            rows.append(_row(make_site(Path(scratch) / "site", n_images, options.seed), options))
    content = {
        "note": _NOTE,
        "settings": {
            "changed": options.changed,
            "repeats": options.repeats,
            "seed": options.seed,
            "busy": options.busy,
            "load_average_at_the_end": [round(value, 1) for value in os.getloadavg()],
        },
        "results": rows,
        "targets": targets(rows),
        **environment(_LIBRARIES),
    }
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))
    print_table(readable(rows), f"A snapshot of {options.changed} changed annotations")
    print_table(content["targets"], "Targets")
    return 0


def _row(site: Site, options: argparse.Namespace) -> dict[str, Any]:
    first = site.snapshot()
    runs = []
    for repeat in range(options.repeats):
        site.change(options.changed)
        runs.append({**site.snapshot(), "load": os.getloadavg()[0]})
        said = f"{runs[-1]['seconds']:.2f} s, of it {runs[-1]['read_s']:.2f} s to read"
        print(f"{site.n_images:,} images, {repeat + 1} of {options.repeats}: {said}", file=sys.stderr)
    return {"n_images": site.n_images, "first_s": round(first["seconds"], 3), **summary(runs)}


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of some runs, and the lowest and highest seconds."""
    seconds = [run["seconds"] for run in runs]
    return {
        "seconds": round(statistics.median(seconds), 3),
        "seconds_low": round(min(seconds), 3),
        "seconds_high": round(max(seconds), 3),
        "read_s": round(statistics.median(run["read_s"] for run in runs), 3),
        "cpu_s": round(statistics.median(run["cpu_s"] for run in runs), 3),
        "checked": max(run["checked"] for run in runs),
        "repeats": len(runs),
        "load": round(statistics.mean(run["load"] for run in runs), 1),
    }


def targets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each target with what was measured and whether it holds; None where nothing was measured."""
    largest = next((row for row in rows if row["n_images"] == SIZES[-1]), None)
    found = [_target("seconds at 100,000 images", MAX_SECONDS, largest["seconds"] if largest else None)]
    sizes = [row["n_images"] for row in rows]
    for name, key in (("exponent of seconds", "seconds"), ("exponent of CPU seconds", "cpu_s")):
        value = round(exponent(sizes, [row[key] for row in rows]), 3) if len(rows) > 1 else None
        found.append(_target(name, MAX_EXPONENT, value))
    return found


def readable(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with each time and its limits in one cell."""
    return [
        {
            "labeled images": f"{row['n_images']:,}",
            "seconds": f"{row['seconds']:.3g} ({row['seconds_low']:.3g} to {row['seconds_high']:.3g})",
            "of it reading": row["read_s"],
            "CPU seconds": row["cpu_s"],
            "first snapshot, s": row["first_s"],
            "runs": row["repeats"],
            "load": row["load"],
        }
        for row in rows
    ]


def page(content: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    parts = [
        "# Time of a snapshot",
        _what(content),
        "\n".join(table_lines(content["targets"])),
        _HOW_TO_READ,
        "\n".join(table_lines(readable(content["results"]))),
        _made(content),
    ]
    return "\n\n".join(parts) + "\n"


def _what(content: dict[str, Any]) -> str:
    settings = content["settings"]
    busy = (
        " Other work kept the machine busy meanwhile (the table has its load average): the seconds are too high, the "
        "CPU seconds less so."
        if settings["busy"]
        else ""
    )
    return (
        f"{settings['changed']} annotations are changed at random, then a snapshot is taken: the changes and the "
        "parent are read, checked and compared, shards are written, and git and DVC track, push, commit and tag them. "
        f"{content['note']} The first snapshot of a database reads everything.{busy}"
    )


def _made(content: dict[str, Any]) -> str:
    machine = content["machine"]
    return (
        f"Made with `python -m benchmarks.snapshots` on {machine['processor']}, {machine['cpus']} CPUs, "
        f"{machine['memory_gib']:g} GiB, commit `{content['commit']}`. All figures: `snapshots.json`."
    )


def _target(name: str, limit: float, value: float | None) -> dict[str, Any]:
    return {"target": name, "at_most": limit, "measured": value, "holds": None if value is None else value <= limit}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--markdown", type=Path, help="where the page for people goes")
    parser.add_argument(
        "--images", type=numbers, action="extend", default=[], help="labeled images; several by commas or repeats"
    )
    parser.add_argument("--changed", type=int, default=100, help="annotations changed (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--busy", action="store_true", help="say that other work ran on the machine meanwhile")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
