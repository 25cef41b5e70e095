"""Batches of photos: what they are, how far they are, and their lines of JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field, JsonValue

from api.schemas.pricing import FileError, PredictionAnswer, Schema, Version
from damageloop.domain.batch import BatchState

# Where each line of the results is one JSON object.
LINES_MEDIA_TYPE = "application/jsonl"
# What clients may rely on; `serving.max_batch_images` may allow more.
DOCUMENTED_MAX_IMAGES = 5000

_BATCH_EXAMPLE: dict[str, JsonValue] = {
    "batch_id": "0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77",
    "state": "running",
    "model_version": "7",
    "n_images": 2000,
    "n_answered": 640,
    "created_at": "2026-11-02T09:00:00Z",
    "finished_at": None,
    "error": None,
}


class BatchSchema(Schema):
    """Photos that are answered in the background, all by one model version, which is fixed when the work begins."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BATCH_EXAMPLE]})

    batch_id: str
    state: BatchState
    model_version: Version | None
    n_images: int
    n_answered: int
    created_at: datetime
    finished_at: datetime | None
    error: str | None = Field(description="Why it was given up, null otherwise; start it again to go on.")


class BatchLineSchema(Schema):
    """One line of the results: a photo with its answer, as of a request with this photo alone, or why it has none."""

    number: int = Field(description="Place in the batch, from 0.")
    filename: str
    sha256: str
    prediction: PredictionAnswer | None
    error: FileError | None


def batch_photos_body() -> dict[str, Any]:
    """Return the documentation of a multipart body with the photos of a batch."""
    photo = {"type": "string", "format": "binary"}
    photos = {"type": "array", "items": photo, "minItems": 1, "maxItems": DOCUMENTED_MAX_IMAGES}
    schema = {
        "type": "object",
        "required": ["images"],
        "properties": {"images": photos},
        "additionalProperties": False,
    }
    example = {"images": ["the bytes of car-1-left.jpg", "the bytes of car-2-left.jpg"]}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "example": example}}}
