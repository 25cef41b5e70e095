"""How people look through images: by which filter, in which order, and from which place on."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum

from damageloop.domain.image import ImageStatus
from damageloop.domain.round import ItemState
from damageloop.domain.subset import SubsetQuery
from damageloop.errors import InvalidInputError

_MAX_ID = 2**31 - 1


class GalleryOrder(StrEnum):
    """Which images come first.

    `newest`: the youngest. `score`: the champion's highest score. `uncertain`: a score closest to the confidence from
    which boxes are shown. `brightness`: the darkest. `rank`: as annotators of the round get them.
    Orders by scores hold only what the champion has scored of train: nobody looks held-out images up by what it says.
    """

    NEWEST = "newest"
    SCORE = "score"
    UNCERTAIN = "uncertain"
    BRIGHTNESS = "brightness"
    RANK = "rank"

    @property
    def is_by_scores(self) -> bool:
        return self in {GalleryOrder.SCORE, GalleryOrder.UNCERTAIN}


@dataclass(frozen=True, slots=True)
class Place:
    """An image and what it is ordered by: its id, score, distance, brightness or rank."""

    image_id: int
    key: float

    def told(self, order: GalleryOrder) -> str:
        """Return what a client sends to go on after this place."""
        if order is GalleryOrder.NEWEST:
            return str(self.image_id)
        text = json.dumps([order.value, self.key, self.image_id])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, told: str, order: GalleryOrder) -> Place:
        """Return the place that `told` names. Raises InvalidInputError if it is none of this order."""
        if order is GalleryOrder.NEWEST and told.isascii() and told.isdigit() and int(told) <= _MAX_ID:
            return cls(int(told), float(told))
        try:
            of, key, image_id = json.loads(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)))
            place = cls(int(image_id), float(key))
        except (binascii.Error, ValueError, TypeError, OverflowError) as exc:
            raise _no_place(told, order) from exc
        if of != order.value or not math.isfinite(place.key) or not 0 <= place.image_id <= _MAX_ID:
            raise _no_place(told, order)
        return place


@dataclass(frozen=True, slots=True)
class GallerySearch:
    """Which images, in which order.

    Attributes:
        status: Images of this status.
        subset_id: Of this saved subset.
        item_state: Images that a round holds in this state; with `query.round_id` that round.

    Raises:
        InvalidInputError: If the order by rank has no round.
    """

    query: SubsetQuery = field(default_factory=SubsetQuery)
    order: GalleryOrder = GalleryOrder.NEWEST
    status: ImageStatus = ImageStatus.ACTIVE
    subset_id: int | None = None
    item_state: ItemState | None = None

    def __post_init__(self) -> None:
        if self.order is GalleryOrder.RANK and self.query.round_id is None:
            raise InvalidInputError("The order by rank is that of one round: give round_id too.")

    @property
    def needs_scores(self) -> bool:
        """Tell whether filter or order go by what the champion says."""
        return self.order.is_by_scores or self.query.asks_for_scores


@dataclass(frozen=True, slots=True)
class ScoresOf:
    """Whose scores a search goes by.

    Attributes:
        model_version: The champion; None while there is none.
        display_threshold: Confidence from which people see boxes, 0 to 1.
    """

    model_version: int | None
    display_threshold: float


def _no_place(told: str, order: GalleryOrder) -> InvalidInputError:
    return InvalidInputError(f"{told[:80]!r} is no place in the order {order.value}: send next_after as it came.")
