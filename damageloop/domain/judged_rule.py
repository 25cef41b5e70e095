"""What became of one of the gate's rules: judged with its figures, or not judged for want of evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from damageloop.domain.gate_rules import Figure, Slice

_FIGURES = {
    Figure.RECALL: "recall",
    Figure.PRECISION: "precision",
    Figure.MAP50: "mAP50",
    Figure.MAP50_95: "mAP50-95",
    Figure.SPECIFICITY: "clean photos without a false alarm",
}
_SLICES = {
    Slice.SMALL_BOXES: " on small boxes",
    Slice.DARK: " on dark photos",
    Slice.BRIGHT: " on bright photos",
    Slice.IMPORT: " on imported photos",
    Slice.PRODUCTION: " on photos from production",
    Slice.DRIFTED: " on drifted photos",
}
_ADJECTIVES = {
    Slice.DARK: "dark ",
    Slice.BRIGHT: "bright ",
    Slice.IMPORT: "imported ",
    Slice.PRODUCTION: "production's ",
    Slice.DRIFTED: "drifted ",
}
_UNITS = {Figure.PRECISION: "shown boxes", Figure.SPECIFICITY: "clean photos"}


def rule_name(figure: Figure, part: Slice, damage_class: str | None) -> str:
    """Return what a rule is called, such as `recall on small boxes`, `AP50 of dent`, `clean photos without …`."""
    if damage_class is None and figure is Figure.SPECIFICITY:
        return f"{_ADJECTIVES.get(part, '')}{_FIGURES[figure]}"
    if damage_class is None:
        return _FIGURES[figure] + _SLICES.get(part, "")
    return f"{_FIGURES[figure].removeprefix('m')} of {damage_class}"


@dataclass(frozen=True, slots=True)
class JudgedRule:
    """A figure of both models, the lower limit of its difference, and what the limit must lie above.

    Attributes:
        champion: None where there is no champion to compare with.
        against: What to say instead of the champion's figure then.
        count: True boxes, shown boxes or clean photos that it rests on.
        confidence_level: Of the one-sided lower limit.
        is_decisive: Whether it is one of the rules that the challenger must prove; else a guard.
    """

    figure: Figure
    part: Slice
    damage_class: str | None
    champion: float | None
    challenger: float
    lower_limit: float
    above: float
    count: int
    confidence_level: float
    is_decisive: bool
    against: str = "no champion"

    @property
    def name(self) -> str:
        return rule_name(self.figure, self.part, self.damage_class)

    @property
    def is_met(self) -> bool:
        # False for a limit that is no number: what can't be computed is not shown.
        return self.lower_limit > self.above

    @property
    def difference(self) -> float:
        return self.challenger - (self.champion or 0.0)

    def sentence(self, n_samples: int) -> str:
        against = self.against if self.champion is None else f"champion {self.champion:.3f}"
        return (
            f"{self.name}: challenger {self.challenger:.3f}, {against}, difference {self.difference:+.3f}; its lower "
            f"limit {self.lower_limit:+.3f} (one-sided {self.confidence_level:.0%}, {n_samples} "
            f"resamples of groups) {'lies' if self.is_met else 'does not lie'} above {self.above:+.3f}."
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "champion": rounded(self.champion),
            "challenger": rounded(self.challenger),
            "difference": rounded(self.difference),
            "lower_limit": rounded(self.lower_limit),
            "must_be_above": self.above,
            "is_met": self.is_met,
            "figure": self.figure.value,
            "slice": self.part.value,
            "damage_class": self.damage_class,
            "count": self.count,
            "unit": unit_of(self.figure),
            "confidence_level": self.confidence_level,
            "is_decisive": self.is_decisive,
        }


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What there is too little of.

    Attributes:
        what: `images`, `groups`, `boxes`, `shown boxes` or `clean photos`.
        of: Which class, slice or rule needs it; empty for the whole test split.
    """

    what: str
    of: str
    have: int
    needed: int

    @property
    def more(self) -> int:
        return max(0, self.needed - self.have)

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "of": self.of, "have": self.have, "needed": self.needed, "more": self.more}

    def words(self) -> str:
        return f"{self.of} ({self.have} of {self.needed} {self.what})"


def unit_of(figure: Figure) -> str:
    """Return what the figure counts."""
    return _UNITS.get(figure, "boxes")


def rounded(value: float | None) -> float | None:
    """Return a figure as evidence has it; None for none and for no number."""
    return None if value is None or math.isnan(value) else round(value, 4)
