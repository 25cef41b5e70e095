"""Tables of what pricing services send and are told; see `tables` for the others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from damageloop.adapters.database.base import Base


class IdempotencyRow(Base):
    """A request that may come twice; without status its first is still in work."""

    __tablename__ = "idempotent_requests"
    __table_args__ = (UniqueConstraint("api_key_id", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    api_key_id: Mapped[int]
    key: Mapped[str] = mapped_column(String(255))
    route: Mapped[str] = mapped_column(String(128))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(index=True)


class ValuationRulesRow(Base):
    """Rules of valuation as they were: what was valued by them can be valued again."""

    __tablename__ = "valuation_rules"
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rules_hash: Mapped[str] = mapped_column(String(64), unique=True)
    rules: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ValuationRow(Base):
    """A valuation: what was asked, what it was made of, and the answer."""

    __tablename__ = "valuations"
    valuation_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    valuation_version: Mapped[int] = mapped_column(ForeignKey("valuation_rules.version"))
    model_version: Mapped[int]
    content: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class FeedbackRow(Base):
    """A remark about an answer. The answer itself may be gone by now."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("request_id", "kind", "note_hash", "api_key_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(String(36), index=True)
    model_version: Mapped[int] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text)
    note_hash: Mapped[str] = mapped_column(String(64))
    api_key_id: Mapped[int]
    created_at: Mapped[datetime]


class BatchRow(Base):
    __tablename__ = "batches"
    batch_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    model_version: Mapped[int | None]
    api_key_id: Mapped[int]
    # No reference: jobs are removed when nothing looks at them any more.
    job_id: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]


class BatchItemRow(Base):
    __tablename__ = "batch_items"
    __table_args__ = (UniqueConstraint("batch_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.batch_id"))
    number: Mapped[int]
    filename: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    store_key: Mapped[str]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    is_answered: Mapped[bool] = mapped_column(default=False)
