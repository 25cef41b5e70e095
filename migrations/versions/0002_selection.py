"""What selection remembers: groups, mirrored detections, requests about images, subsets and label errors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_groups()
    _add_columns()
    _create_image_requests()
    _create_subsets()
    _create_label_errors()


def downgrade() -> None:
    """Take the columns away in place: a batch would drop tables that the rows of others refer to, as SQLite forbids."""
    for table in ("label_errors", "subsets", "image_requests"):
        op.drop_table(table)
    op.drop_column("round_items", "expected_seconds")
    op.drop_column("round_items", "score")
    op.drop_column("rounds", "note")
    op.drop_column("predictions", "mirrored")
    op.drop_index("ix_images_group_key", "images")
    op.drop_column("images", "group_key")


def _add_groups() -> None:
    """Give every known image the group that it has had so far: its vehicle.

    The column comes with a default, since SQLite makes one required afterwards only by dropping the table, which the
    rows of other tables that refer to it forbid.
    """
    op.add_column("images", sa.Column("group_key", sa.String(length=255), nullable=False, server_default=""))
    op.execute(sa.text("UPDATE images SET group_key = vehicle"))
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("images", "group_key", server_default=None)
    op.create_index("ix_images_group_key", "images", ["group_key"])


def _add_columns() -> None:
    with op.batch_alter_table("predictions") as predictions:
        predictions.add_column(sa.Column("mirrored", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("round_items") as items:
        items.add_column(sa.Column("score", sa.Double(), nullable=True))
        items.add_column(sa.Column("expected_seconds", sa.Double(), nullable=True))
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("note", sa.Text(), nullable=True))


def _create_image_requests() -> None:
    op.create_table(
        "image_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("round_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_requests_image_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_image_requests_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_image_requests"),
    )
    op.create_index("ix_image_requests_image_id", "image_requests", ["image_id"])
    op.create_index("ix_image_requests_ended_at", "image_requests", ["ended_at"])


def _create_subsets() -> None:
    op.create_table(
        "subsets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("image_ids", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subsets"),
        sa.UniqueConstraint("name", name="uq_subsets_name"),
    )


def _create_label_errors() -> None:
    op.create_table(
        "label_errors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("annotation_hash", sa.String(length=64), nullable=False),
        sa.Column("snapshot_id", sa.Integer(), nullable=False),
        sa.Column("quality", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detections", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_label_errors_image_id"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_label_errors_snapshot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_label_errors"),
        sa.UniqueConstraint(
            "image_id", "annotation_hash", "snapshot_id", name="uq_label_errors_image_id_annotation_hash_snapshot_id"
        ),
    )
    op.create_index("ix_label_errors_image_id", "label_errors", ["image_id"])
    op.create_index("ix_label_errors_state", "label_errors", ["state"])
