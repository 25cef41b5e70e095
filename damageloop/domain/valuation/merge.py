"""How many damages several photos show: detections that are probably the same damage count once, as the worst of them.

Counted by severity from above. Of a class there are at least as many severe damages as the largest independent set
among its severe detections has members, at least as many moderate or worse ones as that among those, and so on; edges
join what is probably one damage. No count ever falls when a detection is added or gets worse (see `independent_set`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from damageloop.domain.severity import Severity
from damageloop.domain.valuation.independent_set import largest
from damageloop.domain.valuation.seen import Place

LEVELS = tuple(Severity)
# Probability by two places, the smaller one first; what is missing is unknown, and never merged.
Sameness = Mapping[tuple[Place, Place], float]


class Sighting(NamedTuple):
    """A detection of one class. Sorted by what it is: worst first, then by photo content and not by its place."""

    goodness: int
    sha256: str
    place: Place

    @property
    def severity(self) -> Severity:
        return LEVELS[-self.goodness]


def sighting(severity: Severity, sha256: str, place: Place) -> Sighting:
    """Return the sighting of a damage."""
    return Sighting(-LEVELS.index(severity), sha256, place)


@dataclass
class SameDamage:
    """One damage with its sightings, the worst first.

    Attributes:
        probability: The least by which a sighting was merged, None of a single one.
    """

    sightings: list[Sighting] = field(default_factory=list)
    probability: float | None = None

    @property
    def severity(self) -> Severity:
        return self.sightings[0].severity

    @property
    def photos(self) -> tuple[int, ...]:
        return tuple(sorted({each.place[0] for each in self.sightings}))

    def join(self, other: Sighting, probability: float) -> None:
        """Add a sighting that is this damage with some probability."""
        self.sightings.append(other)
        self.probability = min(probability, self.probability if self.probability is not None else 1.0)


def count(sightings: Sequence[Sighting], same: Sameness, limit: float) -> tuple[int, ...]:
    """Return how many damages there are at least: minor or worse, moderate or worse, severe."""
    ordered = sorted(sightings)
    return tuple(len(_distinct(ordered, level, same, limit)) for level in range(len(LEVELS)))


def merged(sightings: Sequence[Sighting], same: Sameness, limit: float) -> tuple[SameDamage, ...]:
    """Return the damages that `count` counts, the worst first, each sighting with the one it is most probably of.

    Which of several possible sightings stand together changes no count and so no price.
    """
    ordered = sorted(sightings)
    found: list[SameDamage] = []
    for level in reversed(range(len(LEVELS))):
        distinct = _distinct(ordered, level, same, limit)
        new = [each for each in distinct if each.severity is LEVELS[level]]
        # Those that look least like a damage that is listed already; there are enough, for of the worse ones a set
        # without edges has no more members than are listed.
        new.sort(key=lambda each: (max((_between(each, one, same) for one in found), default=0.0), each))
        led = new[: len(distinct) - len(found)]
        found += [SameDamage([each]) for each in sorted(led)]
        leaders = {each.place for each in led}
        rest = [each for each in ordered if each.severity is LEVELS[level] and each.place not in leaders]
        _join_all(rest, found, same)
    return tuple(found)


def between(first: Place, second: Place, same: Sameness) -> float:
    """Return how probably two places are one damage; 0 where nothing is known."""
    return same.get((min(first, second), max(first, second)), 0.0)


def _distinct(ordered: Sequence[Sighting], level: int, same: Sameness, limit: float) -> list[Sighting]:
    """Return a largest set of sightings of at least this severity of which no two are probably the same."""
    bad = [each for each in ordered if -each.goodness >= level]
    index = {each.place: number for number, each in enumerate(bad)}
    edges = [(index[a], index[b]) for (a, b), p in same.items() if p >= limit and a in index and b in index]
    return [bad[number] for number in largest(len(bad), edges)]


def _between(each: Sighting, damage: SameDamage, same: Sameness) -> float:
    return max(between(each.place, one.place, same) for one in damage.sightings)


def _join_all(rest: Sequence[Sighting], found: Sequence[SameDamage], same: Sameness) -> None:
    """Add sightings to the damages they look like, the surest first: a later one may look like an earlier one alone."""
    waiting = {each: max(_between(each, damage, same) for damage in found) for each in rest}
    while waiting:
        each = max(waiting, key=lambda one: (waiting[one], one))
        del waiting[each]
        _join(each, found, same)
        for other, probability in waiting.items():
            waiting[other] = max(probability, between(other.place, each.place, same))


def _join(each: Sighting, found: Sequence[SameDamage], same: Sameness) -> None:
    def preference(number: int) -> tuple[bool, float, int]:
        # Two detections of one photo are two damages, wherever another damage looks like this one too.
        probability = _between(each, found[number], same)
        return probability > 0.0 and each.place[0] not in found[number].photos, probability, -number

    best = found[max(range(len(found)), key=preference)]
    best.join(each, _between(each, best, same))
