"""Is an arm ahead of random? Paired tests over seeds, and a bootstrap over seeds and then groups of photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from active_learning.arrays import FloatArray
from benchmarks.learning_curve.cells import ANY_DAMAGE, Cell, CellFolder
from benchmarks.learning_curve.curves import CLAIM_CLASSES, METRICS, Curve, area, common_limits, needed_for
from damageloop.domain.evaluation import ClassTable, class_table

BASELINE = "random"
BOOTSTRAPS = 500
POWER = 0.8
SIGNIFICANCE = 0.05
# An arm is ahead when it needs less than this share of what random needs, with 97.5 % certainty.
RATIO_BELOW = 0.9


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Differences of one figure, arm minus random, over seeds."""

    n: int
    mean: float
    deviation: float
    p_t: float
    p_wilcoxon: float


def paired_test(differences: Sequence[float]) -> PairedTest | None:
    """Return the paired t-test and Wilcoxon's beside it; None with fewer than two seeds or no difference at all."""
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) == 0.0:
        return None
    p_t = float(stats.ttest_1samp(values, 0.0).pvalue)
    p_wilcoxon = float(stats.wilcoxon(values).pvalue)
    return PairedTest(len(values), float(values.mean()), float(values.std(ddof=1)), p_t, p_wilcoxon)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for their number: 0.01 and 0.04 become 0.02 and 0.04."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return {name: float(p) for name, p in zip(p_values, corrected, strict=True)}


def smallest_effect(n_seeds: int) -> float | None:
    """Return the smallest mean difference that so many seeds can show, in standard deviations of the difference.

    For a two-sided paired t-test at 5 % that finds it four times in five: 5 seeds 1.7, 10 seeds 1.0.
    """
    from statsmodels.stats.power import TTestPower

    if n_seeds < 2:
        return None
    return float(TTestPower().solve_power(nobs=n_seeds, alpha=SIGNIFICANCE, power=POWER, alternative="two-sided"))


def smallest_ratio(baseline: Sequence[Curve], metric: str, axis: str, targets: Sequence[float]) -> float | None:
    """Return the largest ratio to random that so many seeds can tell from 1, by random's own spread.

    Two independent curves of random differ by sqrt(2) of its deviation, so this is what an arm must beat that is
    as noisy as random; None where too few seeds reach a target.
    """
    effect = smallest_effect(len(baseline))
    needs = [[needed_for(c.spent[axis], _values(c, metric), t) for t in targets] for c in baseline]
    logs = [np.mean([np.log(v) for v in row if v is not None]) for row in needs if any(v is not None for v in row)]
    if effect is None or len(logs) < 2:
        return None
    return float(np.exp(-effect * np.sqrt(2.0) * np.std(logs, ddof=1)))


def area_tests(
    curves: Sequence[Curve], metric: str, axis: str, baseline: str = BASELINE
) -> dict[str, PairedTest | None]:
    """Return for each arm but the baseline the paired test of its area."""
    limits = common_limits(curves, axis)
    areas = {(c.arm, c.seed): area(c.spent[axis], _values(c, metric), limits) for c in curves}
    arms = sorted({c.arm for c in curves} - {baseline})
    return {
        arm: paired_test(
            [value - areas[baseline, s] for (a, s), value in areas.items() if a == arm and (baseline, s) in areas]
        )
        for arm in arms
    }


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCurve:
    """A curve with its records sorted once, so that another weight of the photos is another curve at little cost."""

    curve: Curve
    tables: tuple[tuple[ClassTable, ...], ...]
    groups: FloatArray

    def values(self, group_counts: FloatArray | None) -> FloatArray:
        """Return the figure of each round with every group counted so many times."""
        weights = None if group_counts is None else group_counts[self.groups.astype(np.int64)]
        rounds = [[table.average_precision(0, weights) for table in row] for row in self.tables]
        return np.array([np.nanmean(row) for row in rounds])


def judged(curve: Curve, folder: CellFolder, metric: str) -> JudgedCurve:
    """Return a curve whose figure can be computed again with other weights."""
    rows, groups = [], np.zeros(0)
    for cell in curve.cells:
        records = folder.records(cell, is_merged=metric == "any_damage_ap50")
        rows.append(tuple(class_table(records, name) for name in _classes(cell, metric)))
        names = sorted({record.group for record in records})
        groups = np.array([names.index(record.group) for record in records], dtype=np.float64)
    return JudgedCurve(curve, tuple(rows), groups)


def ratios(
    arm: Sequence[JudgedCurve], baseline: Sequence[JudgedCurve], axis: str, targets: Sequence[float], seed: int = 0
) -> dict[str, Any]:
    """Return what an arm needs for the targets as a share of what random needs, with an interval.

    Geometric mean over seeds and targets. The interval is the middle 95 % of a bootstrap that draws seeds and then
    groups of photos. A pair in which either curve misses the target is left out and counted as censored.
    """
    point, censored = _ratio(arm, baseline, axis, targets, None)
    rng = np.random.default_rng(seed)
    n_groups = int(arm[0].groups.max()) + 1
    drawn = []
    for _ in range(BOOTSTRAPS):
        seeds = rng.integers(0, len(arm), len(arm))
        counts = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups).astype(np.float64)
        value, _ = _ratio([arm[i] for i in seeds], [baseline[i] for i in seeds], axis, targets, counts)
        drawn.append(value)
    known = np.array([value for value in drawn if value is not None])
    low, high = (float(v) for v in np.quantile(known, (0.025, 0.975))) if len(known) > BOOTSTRAPS // 2 else (None, None)
    return {"ratio": point, "low": low, "high": high, "censored": censored, "pairs": len(arm) * len(targets)}


def _ratio(
    arm: Sequence[JudgedCurve],
    baseline: Sequence[JudgedCurve],
    axis: str,
    targets: Sequence[float],
    counts: FloatArray | None,
) -> tuple[float | None, int]:
    logs, censored = [], 0
    for one, other in zip(arm, baseline, strict=True):
        ours, theirs = one.values(counts), other.values(counts)
        for target in targets:
            needs = needed_for(one.curve.spent[axis], ours, target)
            needed = needed_for(other.curve.spent[axis], theirs, target)
            if needs is None or needed is None:
                censored += 1
            else:
                logs.append(np.log(needs / needed))
    return (float(np.exp(np.mean(logs))) if logs else None), censored


def _classes(cell: Cell, metric: str) -> tuple[str, ...]:
    names = tuple(cell.figures["per_class"])
    if metric == "any_damage_ap50":
        return (ANY_DAMAGE,)
    claimed = tuple(name for name in CLAIM_CLASSES if name in names)
    return claimed if metric == "scratch_dent_ap50" and claimed else names


def _values(curve: Curve, metric: str) -> FloatArray:
    return np.array([METRICS[metric](cell) for cell in curve.cells])
