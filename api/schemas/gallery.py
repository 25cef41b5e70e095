"""What the gallery of images sends and takes."""

from __future__ import annotations

from pydantic import Field

from api.schemas.operations import RoundItemSchema
from api.schemas.pricing import BoxSchema, Schema
from api.schemas.selection import DetectionSchema
from damageloop.domain.annotation import Verdict
from damageloop.domain.image import ImageStatus
from damageloop.domain.split import Split


class DrawnBoxSchema(Schema):
    """A damage that a human drew; `severity` is null where nobody told it."""

    damage_class: str
    box: BoxSchema
    severity: str | None = None


class DrawnSchema(Schema):
    """The annotation that counts for an image. `note`: why it was skipped or can't be used."""

    verdict: Verdict
    boxes: list[DrawnBoxSchema]
    annotator: str
    note: str | None


class GalleryImageSchema(Schema):
    """An image as a grid shows it. `detections` are the champion's from the display threshold on.

    They and `top_score` are null where it has not looked, and of held-out images: nobody looks them up by what a model
    says.
    """

    id: int
    file_name: str
    width: int
    height: int
    vehicle: str
    split: Split
    status: ImageStatus
    brightness: float
    annotation: DrawnSchema | None
    detections: list[DetectionSchema] | None
    top_score: float | None
    round_item: RoundItemSchema | None
    label_studio_url: str | None


class GalleryPageSchema(Schema):
    """`next_after` is what to send as `after` for the next part with the same filters and order, null at the end."""

    items: list[GalleryImageSchema]
    next_after: str | None


class BoundedCountSchema(Schema):
    """How many images meet the filters. With `is_more` there are more than `count`: large numbers are not counted."""

    count: int = Field(ge=0)
    is_more: bool
