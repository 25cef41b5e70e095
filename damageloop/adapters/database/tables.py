"""Tables as SQLAlchemy sees them. Changing one needs an Alembic revision in migrations/."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from damageloop.adapters.database.base import Base


class ImageRow(Base):
    __tablename__ = "images"
    __table_args__ = (
        # Near-duplicates that joined vehicles: few among many.
        Index(
            "ix_images_joined",
            "group_key",
            sqlite_where=text("group_key != vehicle"),
            postgresql_where=text("group_key != vehicle"),
        ),
        Index("ix_images_brightness", "brightness", "id"),
        # Counts by split read this index alone.
        Index("ix_images_status_split", "status", "split"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    source_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    extension: Mapped[str] = mapped_column(String(8))
    file_name: Mapped[str] = mapped_column(Text)
    width: Mapped[int]
    height: Mapped[int]
    n_bytes: Mapped[int]
    brightness: Mapped[float]
    contrast: Mapped[float]
    sharpness: Mapped[float]
    noise: Mapped[float | None]
    perceptual_hash: Mapped[str] = mapped_column(String(16))
    vehicle: Mapped[str] = mapped_column(String(255), index=True)
    # The vehicle joined with near-duplicates: named after its oldest vehicle, the unit of splits and of rounds.
    group_key: Mapped[str] = mapped_column(String(255), index=True)
    split: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(16), default="active")
    origin: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    # Of the same counter as that of annotations: rises when split, group or status change what a snapshot says.
    sequence: Mapped[int] = mapped_column(default=0, index=True)


class QuarantineRow(Base):
    __tablename__ = "quarantine"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[str] = mapped_column(Text)
    source_sha256: Mapped[str | None] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class AnnotationRow(Base):
    """`sequence` rises with every change of content: "new or changed since" is a comparison of numbers."""

    __tablename__ = "annotations"
    __table_args__ = (UniqueConstraint("source", "external_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    source: Mapped[str] = mapped_column(String(32))
    external_id: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    boxes: Mapped[list[Any]] = mapped_column(JSON)
    annotator: Mapped[str]
    lead_time_s: Mapped[float | None]
    updated_at: Mapped[datetime]
    is_deleted: Mapped[bool] = mapped_column(Boolean, default=False)
    content_hash: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int] = mapped_column(Integer, index=True)
    # Which task of the annotation tool it was made in: second opinions are second tasks.
    task_id: Mapped[int | None]
    # Why an image was skipped or can't be used, in the annotator's words.
    note: Mapped[str | None] = mapped_column(Text)


class InboxRow(Base):
    __tablename__ = "review_inbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime | None] = mapped_column(index=True)


class PredictionRow(Base):
    __tablename__ = "predictions"
    __table_args__ = (
        UniqueConstraint("image_id", "model_version"),
        Index("ix_predictions_score", "model_version", "top_score", "image_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    model_version: Mapped[int] = mapped_column(index=True)
    detections: Mapped[list[Any]] = mapped_column(JSON)
    # Detections on the mirrored image, mirrored back; only where a strategy compares the two.
    mirrored: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    top_score: Mapped[float]
    created_at: Mapped[datetime]


class RefusedPredictionRow(Base):
    __tablename__ = "refused_predictions"
    __table_args__ = (UniqueConstraint("image_id", "model_version"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    model_version: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class RoundRow(Base):
    __tablename__ = "rounds"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    strategy: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    model_version: Mapped[int | None]
    seed: Mapped[int]
    # Why another strategy chose than the one asked for, and the like.
    note: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class RoundItemRow(Base):
    __tablename__ = "round_items"
    __table_args__ = (UniqueConstraint("round_id", "image_id"), Index("ix_round_items_rank", "round_id", "rank"))
    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    share: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int]
    probability: Mapped[float | None]
    score: Mapped[float | None]
    expected_seconds: Mapped[float | None]
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    task_id: Mapped[int | None] = mapped_column(index=True)


class SnapshotRow(Base):
    __tablename__ = "snapshots"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    git_tag: Mapped[str] = mapped_column(String(64), unique=True)
    git_commit: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("snapshots.id"))
    counts: Mapped[dict[str, Any]]
    code_revision: Mapped[str]
    lock_hash: Mapped[str] = mapped_column(String(64))
    params_hash: Mapped[str] = mapped_column(String(64))
    annotation_sequence: Mapped[int]
    # Content hash by shard: what tells which shards differ. Not loaded with the row, as it is its largest part.
    shards: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    # What the data checks found and counted.
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]


class ModelRow(Base):
    __tablename__ = "models"
    version: Mapped[int] = mapped_column(primary_key=True)
    training_key: Mapped[str] = mapped_column(String(255), unique=True)
    snapshot_id: Mapped[int | None] = mapped_column(ForeignKey("snapshots.id"))
    run_id: Mapped[str | None] = mapped_column(String(64))
    mlflow_version: Mapped[str | None] = mapped_column(String(16))
    metrics: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class DecisionRow(Base):
    __tablename__ = "decisions"
    id: Mapped[int] = mapped_column(primary_key=True)
    champion: Mapped[int | None] = mapped_column(ForeignKey("models.version"))
    challenger: Mapped[int] = mapped_column(ForeignKey("models.version"), index=True)
    decision: Mapped[str] = mapped_column(String(32))
    reasons: Mapped[list[Any]] = mapped_column(JSON)
    evidence: Mapped[dict[str, Any]]
    # One hash of the frozen test images and their truth: comparisons against the same one are counted.
    test_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime]
    # The person who refused by hand, and why.
    asked_by: Mapped[str | None]
    note: Mapped[str | None] = mapped_column(Text)


class PromotionRow(Base):
    """Append-only; the newest row is the champion."""

    __tablename__ = "promotions"
    id: Mapped[int] = mapped_column(primary_key=True)
    model_version: Mapped[int] = mapped_column(ForeignKey("models.version"))
    previous_version: Mapped[int | None] = mapped_column(ForeignKey("models.version"))
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"), unique=True)
    reason: Mapped[str] = mapped_column(String(32))
    # The person behind a promotion or rollback by hand, and why.
    asked_by: Mapped[str | None]
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        # The database itself keeps a flight single, whatever two processes do at once.
        Index(
            "uq_jobs_active_flight",
            "flight",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), index=True)
    key: Mapped[str] = mapped_column(String(255), index=True)
    flight: Mapped[str] = mapped_column(String(255))
    queue: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    inputs: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    message: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    is_cancel_requested: Mapped[bool] = mapped_column(default=False)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    # What it says of itself while it runs: epoch, loss, time left, the last lines of its log.
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class KeyRow(Base):
    __tablename__ = "api_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    scopes: Mapped[list[Any]] = mapped_column(JSON)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    # Its first characters, by which people tell keys apart; None of keys from before they were kept.
    hint: Mapped[str | None] = mapped_column(String(16))
    expires_at: Mapped[datetime | None]
    # The key that takes its place.
    replaced_by: Mapped[int | None]
    # Requests that it may make in a minute; None: as `serving` says.
    requests_per_minute: Mapped[int | None]


class EvidenceRow(Base):
    __tablename__ = "served_predictions"
    request_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    model_version: Mapped[int]
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
    api_key_id: Mapped[int | None]


class FactRow(Base):
    __tablename__ = "facts"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class ImageRequestRow(Base):
    """What a person, a drift watch or a label check asked for about one image; append-only but for its end."""

    __tablename__ = "image_requests"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    round_id: Mapped[int | None] = mapped_column(ForeignKey("rounds.id"))


class SubsetRow(Base):
    """A saved choice of images, by name."""

    __tablename__ = "subsets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    note: Mapped[str] = mapped_column(Text)
    image_ids: Mapped[list[Any]] = mapped_column(JSON)
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # The filter that it was made from, by which it can be renewed; None of images named one by one.
    query: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class LabelErrorRow(Base):
    """An annotation that out-of-fold predictions contradict; `annotation_hash` says which state of it was judged."""

    __tablename__ = "label_errors"
    __table_args__ = (UniqueConstraint("image_id", "annotation_hash", "snapshot_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    annotation_hash: Mapped[str] = mapped_column(String(64))
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id"))
    quality: Mapped[float]
    reason: Mapped[str] = mapped_column(Text)
    detections: Mapped[list[Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[datetime]
