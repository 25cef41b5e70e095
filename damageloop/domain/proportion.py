"""Shares seen in a sample of photos, with intervals that know that photos of one car are no independent evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from damageloop.domain.evaluation import FloatArray
from damageloop.domain.resampling import resampled_ratio

# Of every interval of a model card.
INTERVAL_LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share with its limits.

    Attributes:
        value: None where nothing was counted, and so are the limits.
        count: What it is a share of.
        n_groups: Groups with any of that.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    n_groups: int

    def as_json(self) -> dict[str, Any]:
        limits = {"value": _rounded(self.value), "low": _rounded(self.low), "high": _rounded(self.high)}
        return {**limits, "count": self.count, "groups": self.n_groups}


def wilson(share: float, n: float, level: float = INTERVAL_LEVEL) -> tuple[float, float]:
    """Return Wilson's interval of a share seen in `n` observations: 0.5 of 10 gives (0.2693, 0.7307) at 90 %.

    Cites wilson1927.
    """
    z2 = NormalDist().inv_cdf((1.0 + level) / 2.0) ** 2
    middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = (z2 * (share * (1.0 - share) / n + z2 / (4.0 * n * n))) ** 0.5 / (1.0 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def proportion(
    numerators: FloatArray, denominators: FloatArray, groups: Sequence[str], weights: FloatArray
) -> Proportion:
    """Return the ratio of two sums over images that lies in 0 to 1, with an interval at `INTERVAL_LEVEL`.

    Wilson's formula with the number of independent observations that would vary as much as the ratio does when
    groups are resampled [efron1993]; at 0 or 1, where nothing varies, the number of groups. Never more than was
    counted. None of 10 photos of 10 cars: 0 to 2.706 / 12.706 = 0.213.

    Args:
        numerators: What was hit in each image, (n_images,).
        denominators: What it is a share of, (n_images,), not below the numerators.
        groups: The group of each image.
        weights: See `resampling.group_weights`, (n_samples, n_images).
    """
    total = float(denominators.sum())
    counted = {group for group, n in zip(groups, denominators, strict=True) if n}
    if not total:
        return Proportion(None, None, None, 0, 0)
    value = float(numerators.sum()) / total
    n_seen = float(len(counted))
    if 0.0 < value < 1.0:
        variance = float(np.nanvar(resampled_ratio(numerators, denominators, weights)))
        n_seen = value * (1.0 - value) / variance if variance else n_seen
    low, high = wilson(value, max(1.0, min(n_seen, total)))
    return Proportion(value, low, high, int(total), len(counted))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
