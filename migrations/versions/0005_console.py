"""What people look at: images by class and score, saved filters, what a job says of itself, known items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Of rows that are read and written at once: a large database is not held in memory.
BATCH = 2000


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
    op.create_index("ix_images_brightness", "images", ["brightness", "id"])
    op.create_index("ix_images_status_split", "images", ["status", "split"])
    op.create_index("ix_predictions_score", "predictions", ["model_version", "top_score", "image_id"])
    op.create_index("ix_round_items_rank", "round_items", ["round_id", "rank"])
    joined = sa.text("group_key != vehicle")
    op.create_index("ix_images_joined", "images", ["group_key"], sqlite_where=joined, postgresql_where=joined)
    op.add_column("subsets", sa.Column("query", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("detail", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("decisions", sa.Column("asked_by", sa.String(), nullable=True))
    op.add_column("decisions", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("second_opinions", sa.Column("known_annotation_id", sa.Integer(), nullable=True))
    op.create_table(
        "known_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(length=64), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("boxes", sa.JSON(), nullable=False),
        sa.Column("annotator", sa.String(length=255), nullable=False),
        sa.Column("lead_time_s", sa.Double(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_known_answers_image_id"),
        sa.PrimaryKeyConstraint("id", name="pk_known_answers"),
        sa.UniqueConstraint("external_id", name="uq_known_answers_external_id"),
    )
    for column in ("image_id", "task_id"):
        op.create_index(f"ix_known_answers_{column}", "known_answers", [column])
    _fill("annotations", ("image_id", "boxes"), "annotation_classes", _drawn, "NOT is_deleted")
    _fill("predictions", ("image_id", "model_version", "detections"), "prediction_classes", _predicted)
    # Made when the rows are there: filling is faster so.
    score = ["model_version", "damage_class", "top_score", "image_id"]
    op.create_index("ix_prediction_classes_score", "prediction_classes", score)


def _fill(
    table: str,
    columns: tuple[str, ...],
    target: str,
    rows_of: Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]],
    condition: str = "",
) -> None:
    """Write the classes that the rows of a table name, some thousand rows at a time."""
    connection, last = op.get_bind(), 0
    source = sa.table(table, sa.column("id"), *(_column(name) for name in columns))
    names = ("damage_class", "image_id", *(("model_version", "top_score") if target == "prediction_classes" else ()))
    written = sa.table(target, *(sa.column(name) for name in names))
    query = sa.select(source).order_by(source.c.id).limit(BATCH)
    if condition:
        query = query.where(sa.text(condition))
    while found := connection.execute(query.where(source.c.id > last)).mappings().all():
        last = found[-1]["id"]
        rows = {tuple(row[name] for name in names[:3]): row for each in found for row in rows_of(dict(each))}
        _insert(connection, written, rows)


def _insert(connection: sa.Connection, table: sa.TableClause, rows: Mapping[Any, Mapping[str, Any]]) -> None:
    if not rows:
        return
    if "model_version" not in table.c:
        # Several people may have drawn the same class on one image, in rows far apart.
        images = sorted({row["image_id"] for row in rows.values()})
        known = {
            (row[0], row[1])
            for start in range(0, len(images), 500)
            for row in connection.execute(
                sa.select(table.c.damage_class, table.c.image_id).where(
                    table.c.image_id.in_(images[start : start + 500])
                )
            )
        }
        rows = {key: row for key, row in rows.items() if key not in known}
    if rows:
        connection.execute(sa.insert(table), list(rows.values()))


def _column(name: str) -> sa.ColumnClause[Any]:
    return sa.column(name, sa.JSON() if name in {"boxes", "detections"} else sa.Integer())


def _drawn(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    # Anything but a list says nothing of classes; a box without a class is of one that was removed.
    boxes = row["boxes"] if isinstance(row["boxes"], list) else []
    for name in {box[0] for box in boxes if box[0] is not None}:
        yield {"damage_class": name, "image_id": row["image_id"]}


def _predicted(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = row["detections"] if isinstance(row["detections"], list) else []
    highest: dict[str, float] = {}
    for each in found:
        highest[each["class"]] = max(float(each["confidence"]), highest.get(each["class"], 0.0))
    for name, score in highest.items():
        yield {
            "damage_class": name,
            "image_id": row["image_id"],
            "model_version": row["model_version"],
            "top_score": score,
        }


def downgrade() -> None:
    for column in ("task_id", "image_id"):
        op.drop_index(f"ix_known_answers_{column}", "known_answers")
    op.drop_table("known_answers")
    op.drop_column("second_opinions", "known_annotation_id")
    op.drop_column("decisions", "note")
    op.drop_column("decisions", "asked_by")
    op.drop_column("jobs", "detail")
    op.drop_column("subsets", "query")
    op.drop_index("ix_images_joined", "images")
    op.drop_index("ix_round_items_rank", "round_items")
    op.drop_index("ix_predictions_score", "predictions")
    op.drop_index("ix_images_status_split", "images")
    op.drop_index("ix_images_brightness", "images")
    op.drop_index("ix_prediction_classes_score", "prediction_classes")
    op.drop_index("ix_prediction_classes_image_id", "prediction_classes")
    op.drop_table("prediction_classes")
    op.drop_index("ix_annotation_classes_image_id", "annotation_classes")
    op.drop_table("annotation_classes")
