"""Seconds to import and to renew tasks with pre-labels: `python -m benchmarks.label_studio --json FILE`.

A real Label Studio server on SQLite, started as the platform starts it. The platform's adapter imports and renews all
tasks; a loop over the official client's calls does the same with a part of them, in a project of its own. The sides
take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.label_studio.server import running_server
from benchmarks.label_studio.sides import BOXES, client_loop, platform
from benchmarks.report import environment, print_table, table_lines, write_report, write_whole

MAX_S = 180.0
TARGET_TASKS = 10_000
_LIBRARIES = ("label-studio-sdk", "httpx")
_STEPS = {"import_s": "import with pre-labels", "renew_s": "renew pre-labels"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the files. Returns an exit code."""
    options = _options(arguments)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="damageloop-label-studio-") as folder, running_server(Path(folder)) as up:
        for number in range(1, options.rounds + 1):
            for side, n_tasks in (("platform", options.tasks), ("client loop", options.loop_tasks)):
                seconds = (platform if side == "platform" else client_loop)(up, n_tasks)
                load = round(os.getloadavg()[0], 1)
                runs.append({"side": side, "tasks": n_tasks, "round": number, "load": load, **seconds})
                said = ", ".join(f"{what} {seconds[key]:.1f} s" for key, what in _STEPS.items())
                print(f"{number} of {options.rounds}, {side}, {n_tasks} tasks: {said}", file=sys.stderr)
    results = summaries(runs)
    content = {
        "settings": {"tasks": options.tasks, "loop_tasks": options.loop_tasks, "boxes": BOXES, "busy": options.busy},
        "results": results,
        "targets": targets(results),
        "ratios": ratios(results),
        "runs": runs,
        **environment(_LIBRARIES),
    }
    content["versions"]["label-studio"] = _server_version()
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))
    print_table(readable(results), "Tasks with pre-labels in Label Studio")
    print_table(content["targets"], "Targets")
    return 0


def summaries(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return median, lowest and highest seconds of each side and step, and milliseconds for a task."""
    found = []
    for side in ("platform", "client loop"):
        of_side = [run for run in runs if run["side"] == side]
        for step, name in _STEPS.items():
            seconds = [run[step] for run in of_side]
            middle, n_tasks = statistics.median(seconds), of_side[0]["tasks"]
            row = {"side": side, "step": name, "tasks": n_tasks, "seconds": round(middle, 2)}
            spread = {"seconds_low": round(min(seconds), 2), "seconds_high": round(max(seconds), 2)}
            found.append({**row, **spread, "ms_per_task": round(1000 * middle / n_tasks, 2), "rounds": len(seconds)})
    return found


def targets(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each target with what was measured; None where fewer tasks were imported than the target is about."""
    rows = []
    for row in results:
        if row["side"] == "platform":
            value = row["seconds_high"] if row["tasks"] >= TARGET_TASKS else None
            holds = None if value is None else value <= MAX_S
            name = f"seconds to {row['step']}, 10,000 tasks, slowest round"
            rows.append({"target": name, "at_most": MAX_S, "measured": value, "holds": holds})
    return rows


def ratios(results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return, by step, how many times the platform's milliseconds for a task the client's loop takes."""
    ms = {(row["side"], row["step"]): row["ms_per_task"] for row in results}
    return {step: round(ms["client loop", step] / ms["platform", step], 1) for step in _STEPS.values()}


def readable(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with each time and its limits in one cell."""
    return [
        {
            "side": row["side"],
            "step": row["step"],
            "tasks": f"{row['tasks']:,}",
            "seconds": f"{row['seconds']:.1f} ({row['seconds_low']:.1f} to {row['seconds_high']:.1f})",
            "ms for a task": row["ms_per_task"],
            "rounds": row["rounds"],
        }
        for row in results
    ]


def page(content: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    settings, machine, versions = content["settings"], content["machine"], content["versions"]
    times = " and ".join(f"{ratio:g} times ({step})" for step, ratio in content["ratios"].items())
    what = (
        f"A real Label Studio server on SQLite, started as the platform starts it; {settings['boxes']} boxes a task. "
        "The platform's adapter makes the tasks and reads them back, sends pre-labels, proves that each task holds "
        "exactly one of the version, and binds it; renewing asks first which tasks nobody has touched. The client loop "
        "calls `tasks.create` and `predictions.create` of label-studio-sdk once for each task and checks nothing; it "
        f"was run on {settings['loop_tasks']:,} tasks, in an empty project, so its time for {settings['tasks']:,} is "
        "not measured. The sides took turns."
    )
    busy = "Other work ran on the machine meanwhile: the seconds are too high. " if settings["busy"] else ""
    load = ", ".join(str(run["load"]) for run in content["runs"])
    made = (
        f"{busy}Load average after each turn: {load}. Made with `python -m benchmarks.label_studio` on "
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_gib']:g} GiB, Label Studio "
        f"{versions['label-studio']}, label-studio-sdk {versions['label-studio-sdk']}, commit `{content['commit']}`. "
        "All figures: `label_studio.json`."
    )
    parts = [
        "# Tasks with pre-labels in Label Studio",
        what,
        "\n".join(table_lines(content["targets"])),
        "\n".join(table_lines(readable(content["results"]))),
        f"For a task, the client's loop takes {times} as long. Seconds are medians, with the lowest and the highest.",
        made,
    ]
    return "\n\n".join(parts) + "\n"


def _server_version() -> str | None:
    """Return the version of the server, which is installed in an environment of its own."""
    folder = Path(os.environ.get("DAMAGELOOP_ENVIRONMENTS") or ".venv").resolve() / "label-studio" / "bin"
    asked = "from importlib.metadata import version; print(version('label-studio'))"
    answer = subprocess.run([folder / "python", "-c", asked], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_studio", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--markdown", type=Path, help="where the page for people goes")
    parser.add_argument("--tasks", type=int, default=TARGET_TASKS, help="of the platform's side (%(default)s)")
    parser.add_argument("--loop-tasks", type=int, default=200, help="of the client's loop (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (%(default)s)")
    parser.add_argument("--busy", action="store_true", help="say that other work ran on the machine meanwhile")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
