"""How bad a damage is, by a rule from its class and its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from damageloop.domain.geometry import Box


class Severity(StrEnum):
    """From least to worst."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"


def rank_of(severity: str) -> int:
    """Return the place of a severity among all: 0 is the least; below that what is none of ours."""
    names = [each.value for each in Severity]
    return names.index(severity) if severity in names else -1


@dataclass(frozen=True, slots=True)
class SeverityRule:
    """From which share of the image on a damage is moderate, and from which severe."""

    moderate_from: float
    severe_from: float


@dataclass(frozen=True, slots=True)
class SeverityRules:
    """The rule of every class, but for those that have one of their own."""

    default: SeverityRule
    by_class: Mapping[str, SeverityRule] = field(default_factory=dict)

    def severity(self, damage_class: str, share: float) -> Severity:
        """Return the severity of a damage of this class that covers `share` of the image, 0 to 1."""
        rule = self.by_class.get(damage_class, self.default)
        return severity_of(share, rule.moderate_from, rule.severe_from)


def area_share(box: Box, size_wh: tuple[int, int]) -> float:
    """Return the share of the image, 0 to 1, that the box covers; what lies outside the image does not count.

    A box (0, 0, 10, 20) in a 100 x 200 image covers 0.01.
    """
    inside = box.clipped(size_wh)
    return inside.area / (size_wh[0] * size_wh[1]) if inside else 0.0


def severity_of(share: float, moderate_from: float, severe_from: float) -> Severity:
    """Return the severity of a damage that covers `share` of the image; it never falls when the share rises."""
    if share >= severe_from:
        return Severity.SEVERE
    return Severity.MODERATE if share >= moderate_from else Severity.MINOR
