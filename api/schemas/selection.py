"""What the routes about chosen images send and take: subsets, label errors, the embedding map."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.dependencies import MAX_ID
from api.schemas.pricing import BoxSchema, Schema
from damageloop.domain.label_error import LabelErrorState
from damageloop.domain.round import Share
from damageloop.domain.split import Split
from damageloop.domain.subset import MAX_NAME_LENGTH

# Of a request; a filter may choose more.
MAX_IDS = 5000
MAX_NOTE_LENGTH = 2000
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Note = Annotated[str, Field(max_length=MAX_NOTE_LENGTH)]
ImageId = Annotated[int, Field(ge=1, le=MAX_ID)]
Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Luma = Annotated[float, Field(ge=0.0, le=255.0, allow_inf_nan=False)]


class SubsetFilter(Schema):
    """Active images that meet everything that is given, at the moment of saving."""

    model_config = ConfigDict(extra="forbid")

    split: Split | None = None
    damage_class: str | None = Field(default=None, description="People drew at least one box of it.")
    predicted_class: str | None = Field(
        default=None, max_length=128, description="The champion shows at least one box of it; train images only."
    )
    vehicle: str | None = Field(default=None, max_length=255)
    share: Share | None = Field(default=None, description="By which rule a round took it.")
    is_labeled: bool | None = None
    round_id: ImageId | None = None
    min_score: Score | None = Field(default=None, description="Of the champion's highest; held-out images have none.")
    max_score: Score | None = None
    min_brightness: Luma | None = None
    max_brightness: Luma | None = None
    max_sharpness: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = None


class SubsetRequest(Schema):
    """Give `image_ids` or `query`, not both."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "dark", "query": {"split": "train", "max_brightness": 60}}]},
    )

    name: Name
    note: Note = ""
    image_ids: Annotated[list[ImageId], Field(max_length=MAX_IDS)] | None = None
    query: SubsetFilter | None = None


class SubsetChange(Schema):
    """First added, then removed."""

    model_config = ConfigDict(extra="forbid")

    add: tuple[ImageId, ...] = Field(default=(), max_length=MAX_IDS)
    remove: tuple[ImageId, ...] = Field(default=(), max_length=MAX_IDS)


class SubsetSchema(Schema):
    id: int
    name: str
    note: str
    n_images: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    query: SubsetFilter | None = Field(default=None, description="What chose its images; renew chooses anew by it.")


class SubsetWithImages(SubsetSchema):
    image_ids: list[int]


class DetectionSchema(Schema):
    damage_class: str
    confidence: float
    box: BoxSchema


class LabelErrorSchema(Schema):
    """`reason` and `detections` of a held-out image are null until it has been looked at again."""

    id: int
    image_id: int
    quality: float = Field(ge=0, le=1, description="The lowest is the most doubtful.")
    reason: str | None
    detections: list[DetectionSchema] | None
    state: LabelErrorState
    snapshot_id: int
    created_at: datetime


class SendRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    max: Annotated[int, Field(ge=1, le=MAX_IDS)] = 50


class SentLabelErrors(Schema):
    image_ids: list[int]


class MapPoint(Schema):
    image_id: int
    x: float
    y: float
    split: Split
    state: Literal["labeled", "in_round", "unlabeled"]
    damage_classes: list[str] | None = Field(description="What people drew; null where nobody has looked.")


class EmbeddingMapSchema(Schema):
    """`points`: all of `n_points`, or so many of them as were asked for, drawn at random."""

    source: str
    hash: str
    points: list[MapPoint]
    n_points: int


Corner = Annotated[float, Field(ge=-10.0, le=10.0, allow_inf_nan=False)]


class OutlineRequest(Schema):
    """`outline`: corners as `[x, y]` of the map; it closes by itself."""

    model_config = ConfigDict(extra="forbid")

    outline: Annotated[list[tuple[Corner, Corner]], Field(min_length=3, max_length=2000)]
    source: str | None = Field(default=None, max_length=64, description="Whose embeddings; the champion's when null.")


class OutlinedSchema(Schema):
    """`points`: the first of `n_inside`, by image."""

    points: list[MapPoint]
    n_inside: int


class MapRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    source: str | None = Field(default=None, max_length=64, description="Whose embeddings; the champion's when null.")
