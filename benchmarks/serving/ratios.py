"""The targets: what is held against what, from the medians of the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.serving.sides import TASKS_IN_A_REQUEST

Row = Mapping[str, Any]
CROWDS = (4, 16)
_PEERS = ("FastAPI + ultralytics", "LitServe", "mlflow models serve")
_OPENVINO = "FastAPI + ultralytics on OpenVINO"
_AT_LEAST, _AT_MOST = "at least", "at most"
# Of requests a second; f32 first.
_BARE = 0.92
_ONE_WORKER = {"f32": 2.4, "bf16": 4.4}
_TWO_WORKERS = {"f32": 1.4, "bf16": 2.5}
_ONE_TASK = {"f32": 2.5, "bf16": 4.4}
_MANY_TASKS = {"f32": 2.6, "bf16": 4.5}
_ACTIVE_LEARNING = {"f32": 0.02, "bf16": 0.03}


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one row for each side and concurrency: medians over the rounds, with the lowest and highest rate."""
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["side"], row["concurrency"]), []).append(row)
    return [_summed(group) for group in groups.values()]


def _summed(group: Sequence[Row]) -> dict[str, Any]:
    rates = [row["images_per_s"] for row in group]
    first = group[0]
    return {
        **{name: first[name] for name in ("side", "concurrency", "precision", "workers", "images_per_request")},
        "requests_per_s": _median(group, "requests_per_s"),
        "images_per_s": _median(group, "images_per_s"),
        "images_per_s_low": min(rates),
        "images_per_s_high": max(rates),
        "p50_ms": _median(group, "p50_ms"),
        "p95_ms": _median(group, "p95_ms"),
        "cpu_ms": _median(group, "cpu_ms"),
        "peak_mb": max(row["peak_mb"] for row in group),
        "n_requests": sum(row["n_requests"] for row in group),
        "n_errors": sum(row["n_errors"] for row in group),
        "rounds": len(group),
    }


def ratios(
    rows: Sequence[Row], starts_s: Mapping[str, Sequence[float]], pool: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return each target by name: ratio, target, whether it is reached, and the spread over the rounds.

    Ratios are made round by round, of turns that followed each other, and their median counts.

    Args:
        rows: One for each turn, with `round`.
        starts_s: Seconds to the first good answer, by side.
        pool: Images a second of the pre-annotation of a pool, by precision.
    """
    found: dict[str, dict[str, Any]] = {}
    for precision in ("f32", "bf16"):
        found |= _against_bare(rows, precision)
        found |= _against_peers(rows, precision)
        found |= _against_label_studio(rows, precision)
        found |= _of_latency(rows, precision)
        found |= _of_shapes(rows, precision)
        found |= _of_resources(rows, starts_s, precision)
        rates = [one[precision] for one in pool.get("rounds", []) if precision in one]
        found |= _target(f"pre-annotation of a pool, {precision}, against bare", rates, 0.85, _AT_LEAST)
    return found


def _against_bare(rows: Sequence[Row], precision: str) -> dict[str, dict[str, Any]]:
    return _merged(
        _compared(
            f"ours {precision}, c={c}, against bare", rows, (f"ours {precision}", c), (f"bare {precision}", 2), _BARE
        )
        for c in CROWDS
    )


def _against_peers(rows: Sequence[Row], precision: str) -> dict[str, dict[str, Any]]:
    against = [(peer, _ONE_WORKER[precision]) for peer in _PEERS]
    against += [(f"{peer}, 2 workers", _TWO_WORKERS[precision]) for peer in _PEERS]
    if precision == "bf16":
        against.append((_OPENVINO, 1.4))
    return _merged(
        _compared(f"ours {precision}, c={c}, against {peer}", rows, (f"ours {precision}", c), (peer, c), wanted)
        for peer, wanted in against
        for c in CROWDS
    )


def _against_label_studio(rows: Sequence[Row], precision: str) -> dict[str, dict[str, Any]]:
    wanted = {1: _ONE_TASK[precision], TASKS_IN_A_REQUEST: _MANY_TASKS[precision]}
    return _merged(
        _compared(
            f"our ML backend {precision}, {n} a request, c={c}, against label-studio-ml",
            rows,
            (f"our ML backend {precision}, {n} a request", c),
            (f"label-studio-ml, {n} a request", c),
            wanted[n],
        )
        for n in wanted
        for c in CROWDS
    )


def _of_latency(rows: Sequence[Row], precision: str) -> dict[str, dict[str, Any]]:
    ours = f"ours {precision}"
    alone = _ratios(rows, (ours, 1), (f"bare LATENCY {precision}", 1), "p50_ms")
    found = _target(f"ours {precision}, one at a time: p50 against bare LATENCY", alone, 1.08, _AT_MOST)
    for c in CROWDS:
        tails = [row["p95_ms"] / row["p50_ms"] for row in rows if (row["side"], row["concurrency"]) == (ours, c)]
        found |= _target(f"ours {precision}, c={c}: p95 / p50", tails, 1.15, _AT_MOST)
    with_all, without = (f"graph, with active learning {precision}", 2), (f"graph, boxes alone {precision}", 2)
    costs = [1.0 - ratio for ratio in _rate_ratios(rows, with_all, without)]
    by_cpu = [ratio - 1.0 for ratio in _ratios(rows, with_all, without, "cpu_ms")]
    name = f"active-learning outputs {precision}: cost"
    found |= _target(name, costs, _ACTIVE_LEARNING[precision], _AT_MOST, by_cpu)
    return found


def _of_shapes(rows: Sequence[Row], precision: str) -> dict[str, dict[str, Any]]:
    landscape = f"ours {precision}, landscape photos"
    graph = (f"graph, 480x640 {precision}", 2), (f"graph, 640x640, landscape {precision}", 2)
    square = (f"{landscape} in the square", 4)
    name = f"landscape photos {precision}, c=4, against the square shape"
    return {
        **_compared(name, rows, (landscape, 4), square, 1.3),
        **_compared(f"landscape photos {precision}, without a server", rows, *graph, 1.3),
    }


def _of_resources(
    rows: Sequence[Row], starts_s: Mapping[str, Sequence[float]], precision: str
) -> dict[str, dict[str, Any]]:
    ours, peer = f"ours {precision}", _PEERS[0]
    found: dict[str, dict[str, Any]] = {}
    peaks = {side: [row["peak_mb"] for row in rows if row["side"] == side] for side in (ours, peer)}
    if all(peaks.values()):
        share = max(peaks[ours]) / max(peaks[peer])
        found |= _target(f"ours {precision}: peak memory against {peer}", [share], 0.25, _AT_MOST)
    if starts_s.get(ours) and starts_s.get(peer):
        share = statistics.median(starts_s[ours]) / statistics.median(starts_s[peer])
        found |= _target(f"ours {precision}: start against {peer}", [share], 0.25, _AT_MOST)
    return found


def _compared(
    name: str, rows: Sequence[Row], ours: tuple[str, int], theirs: tuple[str, int], wanted: float
) -> dict[str, dict[str, Any]]:
    """Return a target of images a second, with the same by CPU time: how much more they spend on an image."""
    by_cpu = [1.0 / ratio for ratio in _ratios(rows, ours, theirs, "cpu_ms_an_image")]
    return _target(name, _rate_ratios(rows, ours, theirs), wanted, _AT_LEAST, by_cpu)


def _target(
    name: str, values: Sequence[float], wanted: float, sense: str, by_cpu: Sequence[float] = ()
) -> dict[str, dict[str, Any]]:
    """Return one target by its name; nothing where nothing was measured."""
    if not values:
        return {}
    ratio = statistics.median(values)
    is_reached = ratio >= wanted if sense == _AT_LEAST else ratio <= wanted
    return {
        name: {
            "ratio": round(ratio, 4),
            "low": round(min(values), 4),
            "high": round(max(values), 4),
            "by_cpu": round(statistics.median(by_cpu), 4) if by_cpu else None,
            "target": wanted,
            "sense": sense,
            "is_reached": is_reached,
        }
    }


def _rate_ratios(rows: Sequence[Row], ours: tuple[str, int], theirs: tuple[str, int]) -> list[float]:
    return _ratios(rows, ours, theirs, "images_per_s")


def _ratios(rows: Sequence[Row], ours: tuple[str, int], theirs: tuple[str, int], figure: str) -> list[float]:
    """Return ours over theirs in each round that has both."""
    by_round: list[dict[int, float]] = [
        {
            row["round"]: found
            for row in rows
            if (row["side"], row["concurrency"]) == key and (found := _of(row, figure))
        }
        for key in (ours, theirs)
    ]
    return [by_round[0][number] / by_round[1][number] for number in by_round[0] if number in by_round[1]]


def _of(row: Row, figure: str) -> float | None:
    if figure == "cpu_ms_an_image":
        return row["cpu_ms"] / row["images_per_request"] if row["cpu_ms"] else None
    found: float | None = row[figure]
    return found


def _median(group: Sequence[Row], figure: str) -> float | None:
    values = [row[figure] for row in group if row[figure] is not None]
    return round(statistics.median(values), 3) if values else None


def _merged(parts: Iterable[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        found |= part
    return found
