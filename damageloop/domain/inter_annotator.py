"""How far people agree on the same photo, corrected for agreement by chance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

# Two-sided 90 %, as of every other interval.
_Z = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Alpha:
    """Krippendorff's alpha with two-sided 90 % limits.

    Attributes:
        value: 1 is full agreement, 0 what chance would give, below 0 less; None where it is not defined: nobody
            looked at the same photo, or everybody said the same of all of them.
        photos: That two people at least said something of.
    """

    value: float | None
    low: float | None
    high: float | None
    photos: int


def krippendorff_alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Return Krippendorff's alpha for names [krippendorff2011], whoever said which.

    Two photos that both called damaged and one that one of two called damaged: of six words five are "damaged", so
    1 - (6 - 1) x 2 / (2 x 5 x 1) = 0.

    Args:
        units: What was said of each photo, one word for each person; those with fewer than two are left out.
    """
    pairs = [_disagreement(unit) for unit in units if len(unit) > 1]
    words = Counter(word for unit in units if len(unit) > 1 for word in unit)
    return _alpha(sum(pairs), words)


def alpha_with_limits(units: Sequence[Sequence[str]], groups: Sequence[str]) -> Alpha:
    """Return alpha with limits from leaving out one car at a time (the jackknife [efron1993]), cut off at -1 and 1."""
    kept = [(unit, group) for unit, group in zip(units, groups, strict=True) if len(unit) > 1]
    value = krippendorff_alpha([unit for unit, _ in kept])
    names = {group for _, group in kept}
    if value is None or len(names) < 2:
        return Alpha(value, None, None, len(kept))
    words = Counter(word for unit, _ in kept for word in unit)
    total = sum(_disagreement(unit) for unit, _ in kept)
    lost: dict[str, float] = defaultdict(float)
    lost_words: dict[str, Counter[str]] = defaultdict(Counter)
    for unit, group in kept:
        lost[group] += _disagreement(unit)
        lost_words[group].update(unit)
    without = [_alpha(total - lost[name], words - lost_words[name]) for name in sorted(names)]
    # Without this car all say the same: full agreement.
    found = [1.0 if each is None else each for each in without]
    mean = sum(found) / len(found)
    spread = (sum((each - mean) ** 2 for each in found) * (len(found) - 1) / len(found)) ** 0.5
    return Alpha(value, max(-1.0, value - _Z * spread), min(1.0, value + _Z * spread), len(kept))


def _disagreement(unit: Sequence[str]) -> float:
    """Return how many ordered pairs of a photo differ, each photo weighing as much as it has words."""
    return 2.0 * sum(one != other for one, other in combinations(unit, 2)) / (len(unit) - 1)


def _alpha(observed: float, words: Counter[str]) -> float | None:
    n = sum(words.values())
    expected = n * n - sum(count * count for count in words.values())
    return None if expected == 0 else 1.0 - (n - 1) * observed / expected
