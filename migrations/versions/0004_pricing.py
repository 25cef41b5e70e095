"""What pricing services send and are told: idempotent requests, valuations, feedback, batches; keys that end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=True),
        sa.Column("api_key_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", name="pk_batches"),
    )
    op.create_index("ix_batches_created_at", "batches", ["created_at"])
    op.create_index("ix_batches_state", "batches", ["state"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("note_hash", sa.String(length=64), nullable=False),
        sa.Column("api_key_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.UniqueConstraint(
            "request_id", "kind", "note_hash", "api_key_id", name="uq_feedback_request_id_kind_note_hash_api_key_id"
        ),
    )
    op.create_index("ix_feedback_model_version", "feedback", ["model_version"])
    op.create_index("ix_feedback_request_id", "feedback", ["request_id"])
    op.create_table(
        "idempotent_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("api_key_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("route", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_idempotent_requests"),
        sa.UniqueConstraint("api_key_id", "key", name="uq_idempotent_requests_api_key_id_key"),
    )
    op.create_index("ix_idempotent_requests_created_at", "idempotent_requests", ["created_at"])
    op.create_table(
        "valuation_rules",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rules_hash", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_valuation_rules"),
        sa.UniqueConstraint("rules_hash", name="uq_valuation_rules_rules_hash"),
    )
    op.create_table(
        "batch_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("store_key", sa.String(length=255), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("is_answered", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name="fk_batch_items_batch_id"),
        sa.PrimaryKeyConstraint("id", name="pk_batch_items"),
        sa.UniqueConstraint("batch_id", "number", name="uq_batch_items_batch_id_number"),
    )
    op.create_table(
        "valuations",
        sa.Column("valuation_id", sa.String(length=36), nullable=False),
        sa.Column("valuation_version", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["valuation_version"], ["valuation_rules.version"], name="fk_valuations_valuation_version"
        ),
        sa.PrimaryKeyConstraint("valuation_id", name="pk_valuations"),
    )
    op.create_index("ix_valuations_created_at", "valuations", ["created_at"])
    op.add_column("api_keys", sa.Column("hint", sa.String(length=16), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("replaced_by", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("requests_per_minute", sa.Integer(), nullable=True))
    op.add_column("served_predictions", sa.Column("api_key_id", sa.Integer(), nullable=True))
    op.create_index("ix_served_predictions_created_at", "served_predictions", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_served_predictions_created_at", "served_predictions")
    op.drop_column("served_predictions", "api_key_id")
    op.drop_column("api_keys", "requests_per_minute")
    op.drop_column("api_keys", "replaced_by")
    op.drop_column("api_keys", "expires_at")
    op.drop_column("api_keys", "hint")
    op.drop_index("ix_valuations_created_at", "valuations")
    op.drop_table("valuations")
    op.drop_table("batch_items")
    op.drop_table("valuation_rules")
    op.drop_index("ix_idempotent_requests_created_at", "idempotent_requests")
    op.drop_table("idempotent_requests")
    op.drop_index("ix_feedback_request_id", "feedback")
    op.drop_index("ix_feedback_model_version", "feedback")
    op.drop_table("feedback")
    op.drop_index("ix_batches_state", "batches")
    op.drop_index("ix_batches_created_at", "batches")
    op.drop_table("batches")
