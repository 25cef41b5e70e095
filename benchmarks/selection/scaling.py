"""How time grows with the size of the pool, and whether the targets hold. Pure functions over rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from active_learning.registry import DEFAULT

Row = Mapping[str, Any]

MILLION = 1_000_000
TARGET_QUERY_SIZE = 1_000
MAX_EXPONENT = 1.1
# (strategy, figure of a row at a million images and 1,000 chosen, highest value, unit)
TARGETS = ((DEFAULT, "seconds", 60.0, "s"), (DEFAULT, "peak_mb", 4_000.0, "MB"), ("coreset", "seconds", 30.0, "s"))


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of log seconds over log size by least squares: 1 where twice the size takes twice the time.

    Sizes (10, 100) and seconds (1, 100) give 2; (10, 100, 1000) and (1, 1, 100) give 1.
    """
    x = [math.log(size) for size in sizes]
    y = [math.log(value) for value in seconds]
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    above = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / math.fsum((a - mean_x) ** 2 for a in x)


def exponents(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each strategy the exponents over all measured sizes and between the last two; None where unknown.

    Of seconds, and as `cpu_...` of CPU seconds, which a busy machine disturbs less.
    """
    return [
        {
            "strategy": name,
            **_slopes("", [(r["n_images"], r["seconds"]) for r in rows if r["strategy"] == name]),
            **_slopes("cpu_", [(r["n_images"], r["cpu_s"]) for r in rows if r["strategy"] == name]),
        }
        for name in dict.fromkeys(row["strategy"] for row in rows)
    ]


def _slopes(prefix: str, points: Sequence[tuple[int, float | None]]) -> dict[str, float | None]:
    known = sorted((size, value) for size, value in points if value)
    names = (f"{prefix}exponent", f"{prefix}last_two")
    if len(known) < 2:
        return dict.fromkeys(names)
    sizes, values = [size for size, _ in known], [value for _, value in known]
    found = exponent(sizes, values), exponent(sizes[-2:], values[-2:])
    return {name: round(value, 3) for name, value in zip(names, found, strict=True)}


def verdicts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return each target with the figure that was measured and whether it holds; None where nothing was measured."""
    found = []
    for name, figure, limit, unit in TARGETS:
        at_target = (name, MILLION, TARGET_QUERY_SIZE)
        row = next((r for r in rows if (r["strategy"], r["n_images"], r["query_size"]) == at_target), None)
        title = f"{name}, {MILLION:,} images, {TARGET_QUERY_SIZE:,} chosen, {figure.split('_')[0]}"
        value, by_cpu = (row[figure], row["cpu_s"]) if row else (None, None)
        found.append(_verdict(title, value, by_cpu if figure == "seconds" else None, limit, unit))
    for slopes in exponents(rows):
        steepest, by_cpu = (
            None if slopes[f"{kind}exponent"] is None else max(slopes[f"{kind}exponent"], slopes[f"{kind}last_two"])
            for kind in ("", "cpu_")
        )
        found.append(_verdict(f"{slopes['strategy']}, the higher exponent", steepest, by_cpu, MAX_EXPONENT, ""))
    return found


def _verdict(title: str, value: float | None, by_cpu: float | None, limit: float, unit: str) -> dict[str, Any]:
    return {
        "target": title,
        "at_most": limit,
        "unit": unit,
        "measured": value,
        "holds": None if value is None else bool(value <= limit),
        "by_cpu": by_cpu,
        "holds_by_cpu": None if by_cpu is None else bool(by_cpu <= limit),
    }
