"""What a valuation is made of: photos with their damages, and how alike damages in different photos look."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.outcome import Outcome
from damageloop.domain.valuation.rules import SameDamageRule, VehicleFacts

# Pairs grow with the square: these are 8,128 of a class.
MAX_LOOKS = 128
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class SeenDamage:
    """One damage in one photo. `area_share`: of the photo, 0 to 1."""

    damage_class: str
    area_share: float


@dataclass(frozen=True, slots=True)
class SeenPhoto:
    """One photo as it was sent; `outcome` is None where the file could not be read."""

    sha256: str
    outcome: Outcome | None
    damages: tuple[SeenDamage, ...] = ()


# Photo and damage within it, both from 0.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two damages of one class in different photos are; nothing of it grows or shrinks with their size.

    Attributes:
        feature_cosine: Of what the model saw at the two boxes, -1 to 1.
        view_cosine: Of the whole photos' embeddings: whether they were taken from one standpoint.
        centre_distance: Between the box centres, in photo widths and heights, 0 to 1.42.
    """

    first: Place
    second: Place
    feature_cosine: float
    view_cosine: float
    centre_distance: float

    def probability(self, rule: SameDamageRule) -> float:
        """Return the probability, 0 to 1, that both are one damage."""
        exponent = (
            rule.intercept
            + rule.feature_cosine * self.feature_cosine
            + rule.view_cosine * self.view_cosine
            + rule.centre_distance * self.centre_distance
        )
        return round(1.0 / (1.0 + math.exp(-min(60.0, max(-60.0, exponent)))), _DIGITS)


@dataclass(frozen=True, slots=True)
class Case:
    """All that a price depends on beside the rules. `likenesses` lacks pairs of which nothing is known."""

    photos: tuple[SeenPhoto, ...]
    likenesses: tuple[Likeness, ...]
    base_price: Decimal
    currency: str
    facts: VehicleFacts = field(default_factory=VehicleFacts)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of how a damage looks: its class, its features and centre, and its photo's embedding."""

    place: Place
    damage_class: str
    features: NDArray[np.float32]
    embedding: NDArray[np.float32]
    centre: tuple[float, float]


def likenesses(looks: Sequence[Look]) -> tuple[Likeness, ...]:
    """Return how alike each two damages of one class in different photos are, rounded so that it can be kept.

    Of a class with more than `MAX_LOOKS` damages none are compared: then nothing of it is merged.
    """
    n_looks = Counter(look.damage_class for look in looks)
    few = [look for look in looks if n_looks[look.damage_class] <= MAX_LOOKS]
    pairs = combinations(sorted(few, key=lambda look: look.place), 2)
    return tuple(
        Likeness(
            a.place,
            b.place,
            round(_cosine(a.features, b.features), _DIGITS),
            round(_cosine(a.embedding, b.embedding), _DIGITS),
            round(math.dist(a.centre, b.centre), _DIGITS),
        )
        for a, b in pairs
        if a.damage_class == b.damage_class and a.place[0] != b.place[0] and a.features.size == b.features.size
    )


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    first, second = a.astype(np.float64), b.astype(np.float64)
    length = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / length if length > 0 else 0.0


def case_to_json(case: Case) -> dict[str, Any]:
    """Return the case as plain JSON values, from which `case_from_json` makes an equal one."""
    return {
        "base_price": format(case.base_price, "f"),
        "currency": case.currency,
        "facts": {"first_registration": case.facts.first_registration, "mileage_km": case.facts.mileage_km},
        "photos": [
            {
                "sha256": photo.sha256,
                "outcome": photo.outcome.value if photo.outcome else None,
                "damages": [[damage.damage_class, damage.area_share] for damage in photo.damages],
            }
            for photo in case.photos
        ],
        "likenesses": [
            [*pair.first, *pair.second, pair.feature_cosine, pair.view_cosine, pair.centre_distance]
            for pair in case.likenesses
        ],
    }


def case_from_json(content: Mapping[str, Any]) -> Case:
    """Return the case that `case_to_json` wrote."""
    photos = tuple(
        SeenPhoto(
            photo["sha256"],
            Outcome(photo["outcome"]) if photo["outcome"] else None,
            tuple(SeenDamage(name, float(share)) for name, share in photo["damages"]),
        )
        for photo in content["photos"]
    )
    pairs = tuple(Likeness((a, b), (c, d), *measures) for a, b, c, d, *measures in content["likenesses"])
    facts = VehicleFacts(**content["facts"])
    return Case(photos, pairs, Decimal(content["base_price"]), content["currency"], facts)
