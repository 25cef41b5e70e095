"""Tables of what is watched in production: served photos, drift reports and what was done; see `tables` for others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from damageloop.adapters.database.base import Base


class ServedImageRow(Base):
    """Numbers of one served photo. `confidences`: pairs of class and confidence."""

    __tablename__ = "served_images"
    __table_args__ = (
        UniqueConstraint("request_id", "position"),
        Index("ix_served_images_version", "model_version", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(String(36))
    position: Mapped[int]
    answered_at: Mapped[datetime] = mapped_column(index=True)
    model_version: Mapped[int]
    api_key_id: Mapped[int | None]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    width: Mapped[int]
    height: Mapped[int]
    brightness: Mapped[float]
    contrast: Mapped[float]
    sharpness: Mapped[float]
    noise: Mapped[float | None]
    flags: Mapped[list[Any]] = mapped_column(JSON)
    outcome: Mapped[str] = mapped_column(String(16))
    none_probability: Mapped[float | None]
    top_score: Mapped[float | None]
    confidences: Mapped[list[Any]] = mapped_column(JSON)
    embedding: Mapped[str | None] = mapped_column(Text)
    latency_ms: Mapped[float]


class ProductionPhotoRow(Base):
    """A served photo that is kept for the pool; `image_id` or `error` once somebody took it in."""

    __tablename__ = "production_photos"
    __table_args__ = (UniqueConstraint("request_id", "position"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(String(36))
    position: Mapped[int]
    vehicle: Mapped[str] = mapped_column(String(255))
    store_key: Mapped[str]
    kept_at: Mapped[datetime] = mapped_column(index=True)
    taken_in_at: Mapped[datetime | None] = mapped_column(index=True)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id"), index=True)
    error: Mapped[str | None] = mapped_column(Text)


class DriftReportRow(Base):
    """One look at a window of served photos beside the reference; `content` as `domain.drift` writes it."""

    __tablename__ = "drift_reports"
    id: Mapped[int] = mapped_column(primary_key=True)
    model_version: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    asked_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
    event_id: Mapped[int | None] = mapped_column(index=True)
    content: Mapped[dict[str, Any]]


class DriftEventRow(Base):
    """A drift beyond the thresholds and what was done about it; `steps` in the order of being done."""

    __tablename__ = "drift_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    model_version: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None] = mapped_column(index=True)
    outcome: Mapped[str | None] = mapped_column(Text)
    content: Mapped[dict[str, Any]]
    steps: Mapped[list[Any]] = mapped_column(JSON)
