"""How bad a damage is, by a rule from its size alone."""

from __future__ import annotations

from enum import StrEnum

from damageloop.domain.geometry import Box


class Severity(StrEnum):
    """From least to worst."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"


def area_share(box: Box, size_wh: tuple[int, int]) -> float:
    """Return the share of the image, 0 to 1, that the box covers; what lies outside the image does not count.

    A box (0, 0, 10, 20) in a 100 x 200 image covers 0.01.
    """
    inside = box.clipped(size_wh)
    return inside.area / (size_wh[0] * size_wh[1]) if inside else 0.0


def severity_of(share: float, moderate_from: float, severe_from: float) -> Severity:
    """Return the severity of a damage that covers `share` of the image, whatever its class."""
    if share >= severe_from:
        return Severity.SEVERE
    return Severity.MODERATE if share >= moderate_from else Severity.MINOR
