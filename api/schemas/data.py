"""What the API says of the data as a whole: counts, histograms, and what looks alike."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.pricing import Schema
from damageloop.domain.image import ImageStatus
from damageloop.domain.split import Split


class HistogramSchema(Schema):
    """`counts[i]` values lie from `edges[i]` to below `edges[i + 1]`."""

    edges: list[float]
    counts: list[int]


class BasisSchema(Schema):
    """What was counted. `is_exact`: all of it; else a sample, and the words say of how many."""

    words: str
    n_looked_at: int
    is_exact: bool


class ImageSizeSchema(Schema):
    size: str
    n_images: int


class ImageNumbersSchema(Schema):
    """`n_images`: all images; near, not sure, unless the basis is exact. Everything else counts the basis alone."""

    basis: BasisSchema
    n_images: int
    by_split: dict[str, int]
    by_status: dict[str, int]
    brightness: HistogramSchema
    contrast: HistogramSchema
    sizes: list[ImageSizeSchema] = Field(description="The most frequent ones.")


class SplitCounts(Schema):
    """`boxes` by damage class; `groups`: cars, joined where photos are near-duplicates."""

    images: int
    clean: int
    groups: int
    boxes: dict[str, int]


class LabelNumbersSchema(Schema):
    basis: BasisSchema
    by_split: dict[str, SplitCounts]


class ClassBoxesSchema(Schema):
    n_boxes: int
    median_area_share: float | None
    area_share: HistogramSchema


class BoxNumbersSchema(Schema):
    """Boxes that people drew, by the share of its image's area that each takes."""

    basis: BasisSchema
    verdicts: dict[str, int] = Field(description="Annotated images by what was said of them.")
    n_boxes: int
    area_share: HistogramSchema
    by_class: dict[str, ClassBoxesSchema]


class SnapshotFindingSchema(Schema):
    level: Literal["error", "warning"]
    code: str
    count: int
    message: str
    examples: list[str]


class DataSummarySchema(Schema):
    """`snapshot_id`: the newest snapshot, null before the first; `findings`: what its checks found."""

    images: ImageNumbersSchema
    labels: LabelNumbersSchema
    boxes: BoxNumbersSchema
    snapshot_id: int | None
    findings: list[SnapshotFindingSchema]
    quarantined: dict[str, int] = Field(description="Refused files by code.")


class DuplicateImageSchema(Schema):
    id: int
    file_name: str
    vehicle: str
    split: Split
    status: ImageStatus


class DuplicateGroupSchema(Schema):
    """`images`: the first of `n_images`, those left out of snapshots (`n_excluded`) before the others."""

    name: str
    images: list[DuplicateImageSchema]
    n_images: int
    n_excluded: int
    vehicles: list[str]


class DuplicatePageSchema(Schema):
    """`next_after` is what to send as `after` for the next part, null at the end."""

    items: list[DuplicateGroupSchema]
    next_after: str | None
