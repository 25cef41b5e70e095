"""The curves as a picture: figure against images and against hours of review, mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learning_curve.curves import METRICS, Curve

_TITLES = {
    "any_damage_ap50": "Any damage as one class, AP50",
    "scratch_dent_ap50": "Scratch and dent, AP50",
    "map50": "All classes, mAP50",
}
_AXES = (("images", "images labeled", 1.0), ("seconds", "hours of review (modelled)", 3600.0))


def plot(curves: Sequence[Curve], target: Path) -> None:
    """Write a PNG with a row for each axis and a column for each figure."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(len(_AXES), len(METRICS), figsize=(15, 8), squeeze=False)
    for row, (axis, label, unit) in enumerate(_AXES):
        for column, metric in enumerate(METRICS):
            _draw(panels[row][column], curves, metric, axis, unit)
            panels[row][column].set_xlabel(label)
            panels[row][column].set_title(_TITLES[metric])
    panels[0][0].legend()
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _draw(panel: Any, curves: Sequence[Curve], metric: str, axis: str, unit: float) -> None:
    for arm in sorted({curve.arm for curve in curves}):
        mine = [curve for curve in curves if curve.arm == arm]
        x = np.mean([curve.spent[axis] for curve in mine], axis=0) / unit
        values = np.array([[METRICS[metric](cell) for cell in curve.cells] for curve in mine])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(mine)) if len(mine) > 1 else np.zeros(len(x))
        panel.errorbar(x, values.mean(axis=0), yerr=error, marker="o", capsize=3, label=f"{arm} (n = {len(mine)})")
    panel.grid(alpha=0.3)
