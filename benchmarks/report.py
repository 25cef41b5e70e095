"""What all benchmarks share: where a figure was made, the JSON file and the table on the screen."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from damageloop.adapters.provenance import code_revision

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "ultralytics", "openvino")
_GIB = 2**30


def environment(libraries: Sequence[str] = _LIBRARIES) -> dict[str, Any]:
    """Return machine, versions, commit and moment as JSON values; a library that is not installed is None.

    No host name and no folder: a published figure names the kind of machine, not the machine.
    """
    return {
        "machine": {
            "processor": _processor(),
            "cpus": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB, 1),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in libraries}},
        "commit": code_revision(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_report(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write the content as JSON; `-` is standard output. A file appears whole or not at all."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    write_whole(Path(path), text)


def write_whole(target: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(target)


def print_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows that share their keys as a table on standard error, so that `--json -` stays one document."""
    for line in [*([f"\n{title}"] if title else []), *table_lines(rows)]:
        print(line, file=sys.stderr)


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rows as lines of a Markdown table; the keys of the first are the columns."""
    if not rows:
        return ["none"]
    columns = list(rows[0])
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[i]) for line in cells)) for i, column in enumerate(columns)]
    lines = [columns, ["-" * width for width in widths], *cells]
    return ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
