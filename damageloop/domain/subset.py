"""A saved choice of images under a name, and the filter it may be made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from damageloop.domain.round import Share
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

MAX_NAME_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Subset:
    """A saved choice. `image_ids` are in ascending order, each once; they stay until the subset is changed or renewed.

    Attributes:
        query: The filter that chose them, by which they can be chosen anew; None of images named one by one.
    """

    id: int
    name: str
    note: str
    image_ids: tuple[int, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime
    query: SubsetQuery | None = None


@dataclass(frozen=True, slots=True)
class SubsetQuery:
    """Which images to take: those that meet everything that is given. Nothing given takes all.

    Attributes:
        damage_class: Humans drew at least one box of it.
        predicted_class: The champion found it: at `min_score` at least, or where no score is given at the confidence
            from which people see boxes. Held-out images are never found by what a model says.
        share: A round took the image by this rule; with `round_id` that round.
        min_score: Lowest of the champion's highest scores, 0 to 1: of `predicted_class` where one is given.
        max_brightness: For dark photos: mean luma, 0 to 255, at most this.

    Raises:
        InvalidInputError: If a number is not finite or a range is empty.
    """

    split: Split | None = None
    damage_class: str | None = None
    predicted_class: str | None = None
    vehicle: str | None = None
    share: Share | None = None
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
        """Tell whether what the champion says decides anything."""
        return not (self.min_score is None and self.max_score is None and self.predicted_class is None)

    @property
    def asks_for_labels(self) -> bool:
        """Tell whether what people said decides anything."""
        return self.damage_class is not None or self.is_labeled is not None

    def seen_from(self, display_threshold: float) -> SubsetQuery:
        """Return the query with the lowest score that a predicted class has where none is given."""
        if self.predicted_class is None or not (self.min_score is None and self.max_score is None):
            return self
        return replace(self, min_score=display_threshold)

    def as_json(self) -> dict[str, Any]:
        """Return what is given, as JSON values."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> SubsetQuery:
        """Return the query that `as_json` gave."""
        read: dict[str, Callable[[Any], Any]] = {"split": Split, "share": Share}
        given: dict[str, Any] = {name: read[name](value) if name in read else value for name, value in values.items()}
        return cls(**given)


def checked_name(name: str) -> str:
    """Return the name without blanks around it. Raises InvalidInputError if nothing or too much is left."""
    stripped = name.strip()
    if not 0 < len(stripped) <= MAX_NAME_LENGTH:
        raise InvalidInputError(f"A subset's name has 1 to {MAX_NAME_LENGTH} characters.")
    return stripped


def merged(known: Sequence[int], added: Sequence[int] = (), removed: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the ids in ascending order, each once, with some added and then some removed."""
    return tuple(sorted((set(known) | set(added)) - set(removed)))
