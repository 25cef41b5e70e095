"""Shares that tell how people work, each with its count, its interval, and whether there is enough to tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from damageloop.domain.proportion import wilson

# Below so many photos a share of a person or of a class says more about chance than about them.
ENOUGH_PHOTOS = 20


@dataclass(frozen=True, slots=True)
class Tally:
    """What one photo adds to a share: so many of so many; photos of one car are one group."""

    group: str
    hits: float
    of: float


@dataclass(frozen=True, slots=True)
class QualityShare:
    """A share with its two-sided 90 % limits.

    Attributes:
        value: None where there are too few photos to tell, and so are the limits.
        count: What it is a share of.
        photos: Photos with any of that.
        is_enough: There are `ENOUGH_PHOTOS` at least.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    photos: int
    is_enough: bool


def share_of(tallies: Iterable[Tally]) -> QualityShare:
    """Return the share of two sums over photos with Wilson's interval [wilson1927].

    Boxes on photos of one car are no independent evidence: Wilson's formula gets the number of independent ones that
    would vary as much as the share does between cars (the linearised variance of a ratio), never more than there are;
    at 0 or 1, where nothing varies, the number of cars.
    """
    counted = [tally for tally in tallies if tally.of]
    total = sum(tally.of for tally in counted)
    if len(counted) < ENOUGH_PHOTOS:
        return QualityShare(None, None, None, round(total), len(counted), False)
    value = sum(tally.hits for tally in counted) / total
    low, high = wilson(value, _independent(counted, value, total))
    return QualityShare(value, low, high, round(total), len(counted), True)


@dataclass(frozen=True, slots=True)
class Difference:
    """One share minus another with two-sided 90 % limits; None where one of them has too few photos to tell."""

    value: float | None
    low: float | None
    high: float | None


def difference(one: QualityShare, other: QualityShare) -> Difference:
    """Return `one - other` by Newcombe's method on the two intervals [newcombe1998].

    56 of 70 minus 48 of 80 with 95 % limits 0.6917 to 0.8763 and 0.4904 to 0.7002 is 0.2 (0.0524 to 0.3335).
    """
    if one.value is None or other.value is None:
        return Difference(None, None, None)
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Difference(None, None, None)
    value = one.value - other.value
    below = ((one.value - one.low) ** 2 + (other.high - other.value) ** 2) ** 0.5
    above = ((one.high - one.value) ** 2 + (other.value - other.low) ** 2) ** 0.5
    return Difference(value, value - below, value + above)


def _independent(tallies: list[Tally], value: float, total: float) -> float:
    residuals: dict[str, float] = defaultdict(float)
    for tally in tallies:
        residuals[tally.group] += tally.hits - value * tally.of
    n_groups = len(residuals)
    if not 0.0 < value < 1.0 or n_groups == 1:
        return float(n_groups)
    variance = sum(r * r for r in residuals.values()) / total**2 * n_groups / (n_groups - 1)
    n_seen = value * (1.0 - value) / variance if variance else total
    return max(1.0, min(n_seen, total))
