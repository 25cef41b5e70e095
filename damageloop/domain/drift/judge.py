"""From comparisons to a verdict: correction for many columns, thresholds with hysteresis, and words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from damageloop.domain.drift.columns import ColumnKind, Comparison
from damageloop.domain.drift.event import JudgedColumn
from damageloop.domain.drift.words import describe


@dataclass(frozen=True, slots=True)
class Band:
    """Two thresholds of an effect: `beyond` must be reached, and only below `back` it is over."""

    beyond: float
    back: float


@dataclass(frozen=True, slots=True)
class DriftThresholds:
    """When a column has drifted.

    Attributes:
        alpha: Probability of any false alarm of one look, over all its columns together.
        bands: By how a column is compared.
    """

    alpha: float
    bands: Mapping[ColumnKind, Band]


def judge(
    comparisons: Sequence[Comparison], thresholds: DriftThresholds, was_beyond: Collection[str] = ()
) -> tuple[JudgedColumn, ...]:
    """Return each comparison with its verdict, in the given order.

    A column goes beyond when its effect reaches `beyond` *and* its probability, corrected by Holm's method
    [holm1979simple], lies below `alpha`: with many photos the smallest difference is significant, and with few a large
    one is chance. One that `was_beyond` stays so until its effect is below `back`, whatever its probability: what
    swings around one threshold would otherwise open and end an event with every look.

    Three columns with probabilities 0.01, 0.04 and 0.03 are corrected to 0.03, 0.06 and 0.06.
    """
    adjusted = holm([each.p_value for each in comparisons])
    return tuple(
        JudgedColumn(each, p, _is_beyond(each, p, thresholds, each.column in was_beyond), describe(each))
        for each, p in zip(comparisons, adjusted, strict=True)
    )


def _is_beyond(comparison: Comparison, p_adjusted: float, thresholds: DriftThresholds, was_beyond: bool) -> bool:
    band = thresholds.bands[comparison.kind]
    if was_beyond:
        return comparison.effect >= band.back
    return comparison.effect >= band.beyond and p_adjusted < thresholds.alpha


def holm(p_values: Sequence[float]) -> list[float]:
    """Return probabilities corrected so that any of them is below a level by chance only so often [holm1979simple].

    The smallest of n is multiplied by n, the next by n - 1, and so on; none may fall below the one before, or rise
    above 1. Empty input gives none.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
