"""A saved choice of images under a name, and the filter it may be made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from damageloop.domain.image import Image
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

MAX_NAME_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Subset:
    """A saved choice. `image_ids` are in ascending order, each once; the choice is made at saving and stays."""

    id: int
    name: str
    note: str
    image_ids: tuple[int, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a filter looks at.

    Attributes:
        damage_classes: What humans drew on it; None where nobody has looked.
        round_ids: Rounds that held it.
        top_score: The champion's highest score; None where it has not scored it, and for held-out images.
    """

    image: Image
    damage_classes: frozenset[str] | None
    round_ids: frozenset[int]
    top_score: float | None


@dataclass(frozen=True, slots=True)
class SubsetQuery:
    """Which images to take: those that meet everything that is given. Nothing given takes all.

    Attributes:
        damage_class: Humans drew at least one box of it.
        min_score: Lowest of the champion's highest scores, 0 to 1; held-out images have none to be found by.
        max_brightness: For dark photos: mean luma, 0 to 255, at most this.

    Raises:
        InvalidInputError: If a number is not finite or a range is empty.
    """

    split: Split | None = None
    damage_class: str | None = None
    is_labeled: bool | None = None
    round_id: int | None = None
    min_score: float | None = None
    max_score: float | None = None
    min_brightness: float | None = None
    max_brightness: float | None = None
    max_sharpness: float | None = None

    def __post_init__(self) -> None:
        limits = (self.min_score, self.max_score, self.min_brightness, self.max_brightness, self.max_sharpness)
        if not all(limit is None or math.isfinite(limit) for limit in limits):
            raise InvalidInputError("A limit of the filter is not a finite number.")
        for low, high, name in (
            (self.min_score, self.max_score, "score"),
            (self.min_brightness, self.max_brightness, "brightness"),
        ):
            if low is not None and high is not None and low > high:
                raise InvalidInputError(f"The filter's {name} range from {low} to {high} is empty.")

    @property
    def asks_for_scores(self) -> bool:
        """Tell whether the champion's scores decide anything."""
        return self.min_score is not None or self.max_score is not None

    def is_met_by(self, facts: ImageFacts) -> bool:
        """Tell whether an image belongs to the choice."""
        quality = facts.image.stored.quality
        return (
            self.split in {None, facts.image.split}
            and (self.damage_class is None or self.damage_class in (facts.damage_classes or ()))
            and (self.is_labeled is None or self.is_labeled == (facts.damage_classes is not None))
            and (self.round_id is None or self.round_id in facts.round_ids)
            and _is_within(facts.top_score, self.min_score, self.max_score)
            and _is_within(quality.brightness, self.min_brightness, self.max_brightness)
            and _is_within(quality.sharpness, None, self.max_sharpness)
        )


def checked_name(name: str) -> str:
    """Return the name without blanks around it. Raises InvalidInputError if nothing or too much is left."""
    stripped = name.strip()
    if not 0 < len(stripped) <= MAX_NAME_LENGTH:
        raise InvalidInputError(f"A subset's name has 1 to {MAX_NAME_LENGTH} characters.")
    return stripped


def merged(known: Sequence[int], added: Sequence[int] = (), removed: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the ids in ascending order, each once, with some added and then some removed."""
    return tuple(sorted((set(known) | set(added)) - set(removed)))


def _is_within(value: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
