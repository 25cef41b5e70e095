"""What the API says of snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.schemas.pricing import Schema


class SnapshotSchema(Schema):
    """`report`: what the data checks found when it was made; null of snapshots from before there was one."""

    id: int
    git_tag: str
    git_commit: str
    content_hash: str
    parent_id: int | None
    counts: dict[str, Any]
    report: dict[str, Any] | None
    created_at: datetime


class FindingSchema(Schema):
    code: str
    count: int
    message: str
    examples: list[str]


class SnapshotCheckSchema(Schema):
    """`ok`: a snapshot taken now would be made."""

    ok: bool
    stop: str | None
    counts: dict[str, Any]
    checked: int
    images: int
    errors: list[FindingSchema]
    warnings: list[FindingSchema]
    annotators: dict[str, int]


class SnapshotDiffSchema(Schema):
    """`changes`: the first images that differ, of `n_changes`."""

    before: str
    after: str
    images: dict[str, int]
    boxes: dict[str, int]
    relabeled: dict[str, int]
    by_class: dict[str, dict[str, int]]
    by_annotator: dict[str, dict[str, dict[str, int]]]
    changes: list[dict[str, Any]]
    n_changes: int
