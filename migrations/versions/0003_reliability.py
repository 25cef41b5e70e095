"""What reliability remembers: flights, counters, triggers, second opinions, promotion steps, redactions, audit."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IS_ACTIVE = sa.text("state IN ('queued', 'running')")
_TABLES = ("counters", "triggers", "second_opinions", "promotion_steps", "redactions", "audit")


def upgrade() -> None:
    for table, column in _columns():
        op.add_column(table, column)
    op.create_index("ix_decisions_test_hash", "decisions", ["test_hash"])
    _add_image_sequence()
    _add_flights()
    _create_asked_for()
    _create_accounts()
    # The counter goes on where the annotations are.
    op.execute(
        sa.text("INSERT INTO counters (name, value) SELECT 'changes', COALESCE(MAX(sequence), 0) FROM annotations")
    )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_index("uq_jobs_active_flight", "jobs")
    op.create_index(
        "uq_jobs_active_key", "jobs", ["key"], unique=True, sqlite_where=_IS_ACTIVE, postgresql_where=_IS_ACTIVE
    )
    op.drop_column("jobs", "flight")
    op.drop_index("ix_images_sequence", "images")
    op.drop_column("images", "sequence")
    op.drop_index("ix_decisions_test_hash", "decisions")
    for table, column in _columns():
        op.drop_column(table, column.name)


def _columns() -> list[tuple[str, sa.Column[Any]]]:
    """Return the plain columns: without reference or index SQLite adds and drops them in place.

    A batch would drop the table, which the rows of other tables that refer to it forbid.
    """
    return [
        ("annotations", sa.Column("task_id", sa.Integer(), nullable=True)),
        ("annotations", sa.Column("note", sa.Text(), nullable=True)),
        ("snapshots", sa.Column("shards", sa.JSON(), nullable=True)),
        ("snapshots", sa.Column("report", sa.JSON(), nullable=True)),
        ("decisions", sa.Column("test_hash", sa.String(length=64), nullable=True)),
        ("promotions", sa.Column("asked_by", sa.String(length=255), nullable=True)),
        ("promotions", sa.Column("note", sa.Text(), nullable=True)),
    ]


def _add_image_sequence() -> None:
    op.add_column("images", sa.Column("sequence", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_images_sequence", "images", ["sequence"])


def _add_flights() -> None:
    op.add_column("jobs", sa.Column("flight", sa.String(length=255), nullable=False, server_default=""))
    op.execute(sa.text("UPDATE jobs SET flight = key"))
    op.drop_index("uq_jobs_active_key", "jobs")
    op.create_index(
        "uq_jobs_active_flight", "jobs", ["flight"], unique=True, sqlite_where=_IS_ACTIVE, postgresql_where=_IS_ACTIVE
    )


def _create_asked_for() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "triggers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_triggers"),
    )
    op.create_index("ix_triggers_ended_at", "triggers", ["ended_at"])
    op.create_table(
        "second_opinions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_second_opinions_image_id"),
        sa.PrimaryKeyConstraint("id", name="pk_second_opinions"),
    )
    for column in ("image_id", "state", "task_id"):
        op.create_index(f"ix_second_opinions_{column}", "second_opinions", [column])


def _create_accounts() -> None:
    op.create_table(
        "promotion_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("promotion_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name="fk_promotion_steps_promotion_id"),
        sa.PrimaryKeyConstraint("id", name="pk_promotion_steps"),
        sa.UniqueConstraint("promotion_id", "step", name="uq_promotion_steps_promotion_id_step"),
    )
    op.create_index("ix_promotion_steps_promotion_id", "promotion_steps", ["promotion_id"])
    op.create_table(
        "redactions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("source_sha256", sa.String(length=64), nullable=False),
        sa.Column("extension", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_redactions_image_id"),
        sa.PrimaryKeyConstraint("id", name="pk_redactions"),
        sa.UniqueConstraint("image_id", name="uq_redactions_image_id"),
    )
    for column in ("sha256", "source_sha256", "finished_at"):
        op.create_index(f"ix_redactions_{column}", "redactions", [column])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    for column in ("at", "action"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
