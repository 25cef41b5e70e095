"""Curves of a run as arrays, and the figures that are compared: area under a curve, and labels needed for a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import isotonic_regression

from active_learning.arrays import FloatArray
from benchmarks.learning_curve.cells import SHARED, Cell

AXES = ("images", "boxes", "seconds")
# Scratch and dent carry the claim: the other classes of the real photos are few or stand out by themselves.
CLAIM_CLASSES = ("scratch", "dent")

Value = Callable[[Cell], float]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One arm under one seed: what was spent up to each round, shape (n_rounds,), and the cell of each round."""

    seed: int
    arm: str
    cells: tuple[Cell, ...]
    spent: Mapping[str, FloatArray]


def curves_of(cells: Sequence[Cell], n_rounds: int) -> list[Curve]:
    """Return the curves whose rounds are all there, each beginning with its seed's round 0."""
    by_key = {(cell.seed, cell.arm, cell.round): cell for cell in cells}
    arms = sorted({cell.arm for cell in cells if cell.arm != SHARED})
    found = []
    for seed in sorted({cell.seed for cell in cells}):
        for arm in arms:
            keys = [(seed, SHARED, 0), *((seed, arm, number) for number in range(1, n_rounds + 1))]
            if all(key in by_key for key in keys):
                found.append(_curve(seed, arm, tuple(by_key[key] for key in keys)))
    return found


def area(spent: FloatArray, values: FloatArray, limits: tuple[float, float]) -> float:
    """Return the mean height of a curve between two limits of the axis, linear between its points.

    Points (0, 0) and (10, 1) have area 0.5 between 0 and 10, and 0.75 between 5 and 10.
    """
    low, high = limits
    inner = spent[(spent > low) & (spent < high)]
    at = np.concatenate(([low], inner, [high]))
    return float(np.trapezoid(np.interp(at, spent, values), at) / (high - low))


def common_limits(curves: Sequence[Curve], axis: str) -> tuple[float, float]:
    """Return the part of an axis that all curves cover."""
    return max(float(c.spent[axis][0]) for c in curves), min(float(c.spent[axis][-1]) for c in curves)


def needed_for(spent: FloatArray, values: FloatArray, target: float) -> float | None:
    """Return how much is spent when a curve first reaches the target; None where it never does (censored).

    The curve is made to rise first (isotonic regression), so that noise does not count as reaching. Values
    (0.1, 0.3) at 100 and 200 images reach 0.2 at 150.
    """
    rising = isotonic_regression(values)
    if rising[-1] < target:
        return None
    if rising[0] >= target:
        return float(spent[0])
    after = int(np.argmax(rising >= target))
    share = (target - rising[after - 1]) / (rising[after] - rising[after - 1])
    return float(spent[after - 1] + share * (spent[after] - spent[after - 1]))


def claim_value(cell: Cell) -> float:
    """Return the mean AP50 of the classes that carry the claim, of all classes where neither is there."""
    per_class = cell.figures["per_class"]
    known = [per_class[name]["ap50"] for name in CLAIM_CLASSES if name in per_class]
    return float(np.mean([value for value in known if value is not None])) if known else float(cell.figures["map50"])


METRICS: dict[str, Value] = {
    "any_damage_ap50": lambda cell: float(cell.figures["any_damage_ap50"]),
    "scratch_dent_ap50": claim_value,
    "map50": lambda cell: float(cell.figures["map50"]),
}


def _curve(seed: int, arm: str, cells: tuple[Cell, ...]) -> Curve:
    spent = {
        "images": np.cumsum([len(cell.picked) for cell in cells]).astype(np.float64),
        "boxes": np.cumsum([cell.boxes for cell in cells]).astype(np.float64),
        "seconds": np.cumsum([cell.review_seconds for cell in cells]),
    }
    return Curve(seed, arm, cells, spent)
