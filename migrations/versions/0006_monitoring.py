"""What is watched in production: served photos, those kept for the pool, drift reports and events; noise of images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("noise", sa.Double(), nullable=True))
    op.create_table(
        "served_images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("api_key_id", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("brightness", sa.Double(), nullable=False),
        sa.Column("contrast", sa.Double(), nullable=False),
        sa.Column("sharpness", sa.Double(), nullable=False),
        sa.Column("noise", sa.Double(), nullable=True),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("none_probability", sa.Double(), nullable=True),
        sa.Column("top_score", sa.Double(), nullable=True),
        sa.Column("confidences", sa.JSON(), nullable=False),
        sa.Column("embedding", sa.Text(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_served_images"),
        sa.UniqueConstraint("request_id", "position", name="uq_served_images_request_id_position"),
    )
    op.create_index("ix_served_images_version", "served_images", ["model_version", "id"])
    for column in ("answered_at", "sha256"):
        op.create_index(f"ix_served_images_{column}", "served_images", [column])
    op.create_table(
        "production_photos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("vehicle", sa.String(length=255), nullable=False),
        sa.Column("store_key", sa.String(length=255), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("image_id", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_production_photos_image_id"),
        sa.PrimaryKeyConstraint("id", name="pk_production_photos"),
        sa.UniqueConstraint("request_id", "position", name="uq_production_photos_request_id_position"),
    )
    for column in ("kept_at", "taken_in_at", "image_id"):
        op.create_index(f"ix_production_photos_{column}", "production_photos", [column])
    op.create_table(
        "drift_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_reports"),
    )
    for column in ("created_at", "event_id"):
        op.create_index(f"ix_drift_reports_{column}", "drift_reports", [column])
    op.create_table(
        "drift_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_events"),
    )
    op.create_index("ix_drift_events_resolved_at", "drift_events", ["resolved_at"])


def downgrade() -> None:
    for table in ("drift_events", "drift_reports", "production_photos", "served_images"):
        op.drop_table(table)
    op.drop_column("images", "noise")
