"""The figures of `benchmarks.selection` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from active_learning.reasons import counted
from benchmarks.report import table_lines
from benchmarks.selection import pool
from benchmarks.selection.scaling import MAX_EXPONENT

Row = Mapping[str, Any]
_EXPONENT = (
    "The exponent is the slope of log seconds over log images, over all sizes and between the last two, and of log CPU "
    "seconds as well; 1 means that twice the pool takes twice the time. The higher of the first two is held against "
    f"{MAX_EXPONENT}, and so is the higher of the others. Where the smallest pool takes milliseconds, caches and not "
    "the method set the slope: there compare the seconds."
)


def readable(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows with each time and its limits in one cell."""
    return [
        {
            "strategy": row["strategy"],
            "images": f"{row['n_images']:,}",
            "seconds": _seconds(row),
            "CPU seconds": row["cpu_s"],
            "peak MB": row["peak_mb"],
            "of it by the selection": row["added_mb"],
            "runs": row["repeats"],
        }
        for row in rows
    ]


def page(content: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    rows, settings = content["results"], content["settings"]
    parts = [
        "# Time and memory of selection",
        _what(rows, settings),
        _table(_targets(content["targets"])),
        *(_sentence(row) for row in content["targets"] if False in (row["holds"], row["holds_by_cpu"])),
        _EXPONENT,
        _table(content["exponents"]),
        "Seconds are the median of the runs, with the lowest and the highest; CPU seconds add up over all threads.",
        _table(readable(rows)),
        _made(content),
    ]
    return "\n\n".join(parts) + "\n"


def _seconds(row: Row) -> str:
    if row["seconds"] is None:
        return str(row["failed"])
    return f"{row['seconds']:.3g} ({row['seconds_low']:.3g} to {row['seconds_high']:.3g})"


def _what(rows: Sequence[Row], settings: Mapping[str, Any]) -> str:
    busy = (
        " Other processes ran on the machine meanwhile (load average "
        f"{min(r['load'] for r in rows):.1f} to {max(r['load'] for r in rows):.1f}), so the seconds are too high "
        "rather than too low. CPU seconds, what the processor spent on the selection, suffer less; with one thread "
        "they are about what it takes on a free core, or more, since caches are shared."
        if settings["busy"] and rows
        else ""
    )
    chosen = ", ".join(f"{n:,}" for n in dict.fromkeys(row["query_size"] for row in rows))
    return (
        f"Each query strategy chooses {chosen} images from generated pools: embeddings of {pool.N_FEATURES} numbers in "
        f"500 clusters of unlike size and width, 0 to {pool.MAX_BOXES} boxes an image ({pool.MEAN_BOXES:g} on average, "
        f"one image in seven without any), {pool.N_CLASSES} classes, {pool.N_LABELED:,} labeled images, and for the "
        f"strategies that read them a vector of {pool.N_FEATURES} numbers for each box or the mirrored view. Every "
        f"measurement is a fresh process with {counted(settings['threads'], 'thread', 'threads')} for matrix products; "
        "making the pool is not counted. Peak memory is that of the whole process, pool and libraries included, while "
        "the strategy runs; the next column is what the selection added to what was held before. Megabytes are 10^6 "
        f"bytes. A measurement above {settings['limit_s']:g} s, its pool included, is stopped.{busy}"
    )


def _targets(targets: Sequence[Row]) -> list[dict[str, Any]]:
    holds = {None: "-", True: "holds", False: "**does not hold**"}
    return [
        {
            "target": row["target"],
            "at most": f"{row['at_most']:g} {row['unit']}".strip(),
            "measured": _measured(row["measured"], row["unit"]),
            "": holds[row["holds"]],
            "by CPU seconds": _measured(row["by_cpu"], row["unit"]),
            " ": holds[row["holds_by_cpu"]],
        }
        for row in targets
    ]


def _measured(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g} {unit}".strip()


def _sentence(row: Row) -> str:
    by_cpu = f"; by CPU seconds {_beside(row['by_cpu'], row)}" if row["by_cpu"] is not None else ""
    return f"**Not reached:** {row['target']}: {_beside(row['measured'], row)}{by_cpu}."


def _beside(value: float, row: Row) -> str:
    ratio = value / row["at_most"]
    said = f"{ratio:.2f} times what is allowed" if ratio > 1.0 else "which is allowed"
    return f"{_measured(value, row['unit'])}, {said}"


def _made(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    return (
        f"Made with `python -m benchmarks.selection` on {machine['processor']}, {machine['cpus']} CPUs, "
        f"{machine['memory_gib']:g} GiB, commit `{content['commit']}`. All figures: `selection.json`."
    )


def _table(rows: Sequence[Row]) -> str:
    return "\n".join(table_lines(rows))
