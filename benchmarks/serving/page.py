"""The figures of `benchmarks.serving` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import table_lines

Row = Mapping[str, Any]
_TRIED = """## Tried, and did not help

Batches were measured once, on two quiet cores, before the platform's own engine was written.

- **Batches on the CPU.** A batch of eight was 0 to 15 % slower by the image than one after another, and waiting to
  fill one (micro-batches) gave 0.67 of what two processes with a request each give.
- **A look at a small copy first, for photos that tell nothing anyway.** The API judges brightness, contrast and
  sharpness on the copy that it decodes for the model, and asks no model about a photo that is too dark, blurred or
  small. A quarter-size copy for the judgement alone takes 0.60 ms of CPU time at 640 x 640 pixels (0.54 in gray), the
  whole one 0.96, judging it 0.71: so a bad photo would cost 1 ms less and every good one 0.6 ms more, of some 80 in
  all. It pays where six photos in ten are unusable. (These four figures are medians of 80 photos on a busy machine.)"""


def readable(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one line for each side, concurrency and what it cost."""
    return [
        {
            "side": row["side"],
            "precision": row["precision"],
            "workers": row["workers"],
            "c": row["concurrency"],
            "requests/s": _number(row["requests_per_s"]),
            "images/s": f"{_number(row['images_per_s'])} ({_number(row['images_per_s_low'])} to "
            f"{_number(row['images_per_s_high'])})",
            "p50 ms": _number(row["p50_ms"]),
            "p95 ms": _number(row["p95_ms"]),
            "CPU ms an image": _number(row["cpu_ms"] / row["images_per_request"]),
            "peak MB": f"{row['peak_mb']:.0f}",
            "start s": _number(row["start_s"]),
            "errors": row["n_errors"],
        }
        for row in rows
    ]


def readable_targets(targets: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Return one line for each target."""
    return [
        {
            "figure": name,
            "ratio": f"{one['ratio']:.3g} ({one['low']:.3g} to {one['high']:.3g})",
            "by CPU time": _number(one["by_cpu"]),
            "target": f"{one['sense']} {one['target']:g}",
            "": "reached" if one["is_reached"] else "**missed**",
        }
        for name, one in targets.items()
    ]


def page(content: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    parts = ["# Serving", _what(content)]
    if "ratios" in content:
        missed = [name for name, one in content["ratios"].items() if not one["is_reached"]]
        said = f"Missed: {'; '.join(missed)}." if missed else "All targets that were measured are reached."
        parts += ["## Targets", said, _table(readable_targets(content["ratios"]))]
        parts += ["## All figures", _table(readable(content["results"])), _left_out(content["failures"])]
        parts += [_shapes(content["landscape"]), _pool(content["pool"])]
    for part, title in (("endurance", "## A long load"), ("promotion", "## A promotion and a rollback under load")):
        if part in content:
            rows = [{"figure": name, "value": str(value)} for name, value in content[part].items()]
            parts += [title, _table(rows)]
    return "\n\n".join(part for part in [*parts, _TRIED, _made(content)] if part) + "\n"


def _what(content: Mapping[str, Any]) -> str:
    settings = content["settings"]
    busy = " **Other work ran on the machine meanwhile: read the ratios and CPU ms.**" if settings["busy"] else ""
    return (
        f"One model, {settings['model']} with {settings['n_classes']} classes at {settings['image_size']} px, exported "
        f"by each side in its own way, and {settings['photos']}. In each of {settings['rounds']} rounds every side is "
        f"loaded for {settings['seconds']:g} s at each concurrency c (connections with one request under way each) "
        "while all others are paused. `bare` is decoding, letterbox, forward pass and choice of boxes in one process "
        "without any server, two streams; `bare LATENCY` is one image at a time on all cores. `graph` is the same on "
        "the platform's own graph. Ratios are made within a round, in brackets the lowest and highest. "
        "Memory is the sum over all processes of a server, megabytes of 10^6 bytes; the start ends with the first good "
        f"answer. Peers have their default settings; `2 workers` is the one option changed.{busy}"
    )


def _left_out(failures: Mapping[str, str]) -> str:
    return "\n".join(f"- {name} could not be measured: {why}" for name, why in failures.items())


def _shapes(found: Mapping[str, Row]) -> str:
    rows = [{"precision": name, **{key: str(value) for key, value in row.items()}} for name, row in found.items()]
    return "## Landscape photos: own shape against the square\n\n" + _table(rows) if rows else ""


def _pool(pool: Mapping[str, Any]) -> str:
    rows = [{key: value for key, value in run.items() if key != "progress"} for run in pool.get("runs", [])]
    return "## Pre-annotation of a pool\n\n" + _table(rows) if rows else ""


def _made(content: Mapping[str, Any]) -> str:
    machine, versions = content["machine"], content["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"Made with `python -m benchmarks.serving` on {machine['processor']}, {machine['cpus']} CPUs, "
        f"{machine['memory_gib']:g} GiB, commit `{content['commit']}`; {named}. All figures: the JSON "
        "file beside this page."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _table(rows: Sequence[Row]) -> str:
    return "\n".join(table_lines(rows))
