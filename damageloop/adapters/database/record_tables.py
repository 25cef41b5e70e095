"""Tables of what was asked for, done step by step, and must be accounted for later; see `tables` for the others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from damageloop.adapters.database.base import Base


class CounterRow(Base):
    """A number that only rises. Taking one locks the row to the end of the transaction: numbers commit in order."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
    # By our clock: how long nobody has changed anything decides when a snapshot is made.
    changed_at: Mapped[datetime | None]


class TriggerRow(Base):
    """A wish for a snapshot and a training, or for an audit, that comes from beside the count of new annotations."""

    __tablename__ = "triggers"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    outcome: Mapped[str | None] = mapped_column(Text)


class SecondOpinionRow(Base):
    """A second task for an image that has an annotation: the annotation tool serves the first one never again."""

    __tablename__ = "second_opinions"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    # `opinion`: by another annotator; `rework`: the image was sent back; `known`: the answer is known.
    kind: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), index=True)
    task_id: Mapped[int | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # Of a known item: the annotation that is the truth.
    known_annotation_id: Mapped[int | None]


class KnownAnswerRow(Base):
    """What an annotator said in the task of a known item: kept beside annotations, so that it is a label nowhere."""

    __tablename__ = "known_answers"
    id: Mapped[int] = mapped_column(primary_key=True)
    # The annotation tool's number of it.
    external_id: Mapped[str] = mapped_column(String(64), unique=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    task_id: Mapped[int | None] = mapped_column(index=True)
    verdict: Mapped[str] = mapped_column(String(16))
    boxes: Mapped[list[Any]] = mapped_column(JSON)
    annotator: Mapped[str]
    lead_time_s: Mapped[float | None]
    updated_at: Mapped[datetime]
    is_deleted: Mapped[bool] = mapped_column(Boolean, default=False)


class PromotionStepRow(Base):
    """A step of following a promotion that is done: the saga goes on after the last of them."""

    __tablename__ = "promotion_steps"
    __table_args__ = (UniqueConstraint("promotion_id", "step"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), index=True)
    step: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    done_at: Mapped[datetime]


class RedactionRow(Base):
    """An image that was forgotten: that it was, when and why. The hashes keep it from coming back by import."""

    __tablename__ = "redactions"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), unique=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    source_sha256: Mapped[str] = mapped_column(String(64), index=True)
    extension: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str]
    # What is done by now, by place: image store, features, annotation tool, earlier snapshots.
    done: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)


class AuditRow(Base):
    """Who did what to what, for acts that others must be able to question later; append-only."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]
