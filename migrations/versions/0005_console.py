"""What people look at: images by class and score, saved filters, what a job says of itself, known items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "annotation_classes",
        sa.Column("damage_class", sa.String(length=128), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_annotation_classes_image_id"),
        sa.PrimaryKeyConstraint("damage_class", "image_id", name="pk_annotation_classes"),
    )
    op.create_index("ix_annotation_classes_image_id", "annotation_classes", ["image_id"])
    op.create_table(
        "prediction_classes",
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("damage_class", sa.String(length=128), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("top_score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_prediction_classes_image_id"),
        sa.PrimaryKeyConstraint("model_version", "damage_class", "image_id", name="pk_prediction_classes"),
    )
    op.create_index("ix_prediction_classes_image_id", "prediction_classes", ["image_id"])
    op.add_column("subsets", sa.Column("query", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("detail", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("decisions", sa.Column("asked_by", sa.String(), nullable=True))
    op.add_column("decisions", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("second_opinions", sa.Column("known_annotation_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("second_opinions", "known_annotation_id")
    op.drop_column("decisions", "note")
    op.drop_column("decisions", "asked_by")
    op.drop_column("jobs", "detail")
    op.drop_column("subsets", "query")
    op.drop_index("ix_prediction_classes_image_id", "prediction_classes")
    op.drop_table("prediction_classes")
    op.drop_index("ix_annotation_classes_image_id", "annotation_classes")
    op.drop_table("annotation_classes")
