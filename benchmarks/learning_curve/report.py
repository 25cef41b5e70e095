"""From finished cells to the report: figures as JSON, tables on the screen, one honest sentence for each arm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from active_learning.registry import DEFAULT
from benchmarks.learning_curve.cells import Cell, CellFolder
from benchmarks.learning_curve.comparison import (
    BASELINE,
    RATIO_BELOW,
    SIGNIFICANCE,
    PairedTest,
    area_tests,
    holm,
    judged,
    ratios,
    smallest_effect,
    smallest_ratio,
)
from benchmarks.learning_curve.curves import AXES, METRICS, Curve, curves_of
from benchmarks.learning_curve.page import CLAIM_AXIS, mean_rows, page, verdict_rows
from benchmarks.learning_curve.settings import RunSettings
from benchmarks.report import environment, print_table, write_report, write_whole
from damageloop.errors import ConflictError

# What the pilot seed's random curve reached at these shares of the way is what arms are asked to reach.
TARGET_SHARES = (0.25, 0.5, 0.75)


def report(options: argparse.Namespace, settings: RunSettings) -> None:
    """Write the report of all finished cells in the folder."""
    folder = CellFolder(options.resume)
    cells = folder.finished()
    curves = curves_of(cells, settings.rounds)
    if not any(curve.arm == BASELINE for curve in curves):
        raise ConflictError(f"{options.resume} holds no whole curve of {BASELINE} yet; every arm is compared with it.")
    pilot = next((c for c in curves if c.seed == options.pilot_seed and c.arm == BASELINE), None)
    targets = {name: targets_of(pilot, name) for name in METRICS} if pilot else {}
    claimed = [curve for curve in curves if curve.seed != options.pilot_seed]
    summary = summarize(claimed, folder, targets)
    content = {
        "benchmark": "learning_curve",
        **environment(),
        "settings": asdict(settings),
        "data": _data_of(options, cells),
        "pilot": {"seed": options.pilot_seed, "targets": targets},
        "arms": [_row(cell, curve, i) for curve in curves for i, cell in enumerate(curve.cells)],
        "summary": summary,
    }
    write_report(options.json, content)
    means = mean_rows(claimed)
    print_table(means, "Means over seeds (standard deviation)")
    print_table(verdict_rows(summary), "Against random")
    print("", *summary["sentences"], sep="\n", file=sys.stderr)
    if options.markdown:
        write_whole(options.markdown, page(content, means))
    if options.plot:
        from benchmarks.learning_curve.plot import plot

        plot(claimed, options.plot)


def targets_of(pilot: Curve, metric: str) -> list[float]:
    """Return what a curve reached at a quarter, half and three quarters of its images."""
    images = pilot.spent["images"]
    values = np.array([METRICS[metric](cell) for cell in pilot.cells])
    at = images[0] + np.array(TARGET_SHARES) * (images[-1] - images[0])
    return [round(float(v), 4) for v in np.interp(at, images, np.maximum.accumulate(values))]


def summarize(curves: Sequence[Curve], folder: CellFolder, targets: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return tests, ratios and the sentences that they allow."""
    seeds = sorted({curve.seed for curve in curves if curve.arm == BASELINE})
    tests = {m: {axis: area_tests(curves, m, axis) for axis in AXES} for m in METRICS}
    corrected = {
        m: holm({arm: test.p_t for arm, test in tests[m][CLAIM_AXIS].items() if test is not None}) for m in METRICS
    }
    by_metric = {m: _ratios(curves, folder, m, targets[m]) for m in METRICS if m in targets}
    baseline = [curve for curve in curves if curve.arm == BASELINE]
    return {
        "seeds": seeds,
        "smallest_effect_in_deviations": smallest_effect(len(seeds)),
        "smallest_ratio": {m: smallest_ratio(baseline, m, CLAIM_AXIS, targets[m]) for m in targets},
        "areas": {
            m: {axis: {arm: _as_json(t) for arm, t in found.items()} for axis, found in axes.items()}
            for m, axes in tests.items()
        },
        "holm_on_seconds": corrected,
        "default_against_entropy": {
            m: {axis: _as_json(area_tests(curves, m, axis, "entropy").get(DEFAULT)) for axis in ("images", CLAIM_AXIS)}
            for m in METRICS
        },
        "labels_to_target": by_metric,
        "sentences": [
            _sentence(arm, m, tests[m][CLAIM_AXIS][arm], corrected[m].get(arm), by_metric.get(m, {}).get(arm))
            for m in METRICS
            for arm in tests[m][CLAIM_AXIS]
        ],
    }


def _ratios(curves: Sequence[Curve], folder: CellFolder, metric: str, targets: Sequence[float]) -> dict[str, Any]:
    by_arm: dict[str, dict[int, Any]] = {}
    for curve in curves:
        by_arm.setdefault(curve.arm, {})[curve.seed] = judged(curve, folder, metric)
    baseline = by_arm[BASELINE]
    found = {}
    for arm in sorted(set(by_arm) - {BASELINE}):
        seeds = sorted(set(by_arm[arm]) & set(baseline))
        if seeds:
            ours, theirs = [by_arm[arm][s] for s in seeds], [baseline[s] for s in seeds]
            found[arm] = {axis: ratios(ours, theirs, axis, targets) for axis in ("images", CLAIM_AXIS)}
    return found


def _sentence(arm: str, metric: str, test: PairedTest | None, p: float | None, ratio: Mapping[str, Any] | None) -> str:
    """Return what may be said of an arm: ahead only when both the test and the ratio's upper limit say so."""
    if test is None or p is None:
        return f"{metric}: {arm} has too few seeds to be compared with random."
    upper = ratio[CLAIM_AXIS]["high"] if ratio else None
    effect = f"area {test.mean:+.4f} (SD {test.deviation:.4f}, n = {test.n}, p = {p:.3f} after Holm)"
    bound = "" if upper is None else f", review seconds to target at most {upper:.2f} of random's"
    if p < SIGNIFICANCE and test.mean > 0 and upper is not None and upper < RATIO_BELOW:
        return f"{metric}: {arm} is ahead of random: {effect}{bound}."
    if p < SIGNIFICANCE and test.mean < 0:
        return f"{metric}: {arm} is behind random: {effect}{bound}."
    return f"{metric}: {arm} is not shown to be ahead of random: {effect}{bound}."


def _row(cell: Cell, curve: Curve, place: int) -> dict[str, Any]:
    return {
        "name": curve.arm,
        "seed": curve.seed,
        "round": place,
        "images": int(curve.spent["images"][place]),
        "boxes": int(curve.spent["boxes"][place]),
        "review_seconds": round(float(curve.spent["seconds"][place]), 1),
        **{name: cell.figures[name] for name in ("map50", "map50_95", "any_damage_ap50")},
        "per_class": {name: figures["ap50"] for name, figures in cell.figures["per_class"].items()},
        "select_seconds": round(cell.select_seconds, 2),
        "train_seconds": round(cell.train_seconds, 1),
        **({"extra": cell.extra} if cell.extra else {}),
    }


def _as_json(test: PairedTest | None) -> dict[str, float] | None:
    return None if test is None else asdict(test)


def _data_of(options: argparse.Namespace, cells: Sequence[Cell]) -> dict[str, Any]:
    figures = cells[0].figures
    return {
        "photos": "given" if options.images else "generated",
        "evaluation_images": figures["images"],
        "evaluation_groups": figures["groups"],
        "evaluation_boxes": figures["boxes"],
    }
