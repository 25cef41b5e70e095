"""Keeps the tables of drawn and predicted classes beside annotations and predictions, in the same transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.gallery_tables import AnnotationClassRow, PredictionClassRow
from damageloop.adapters.database.tables import AnnotationRow, PredictionRow


def drawn_classes(boxes: Iterable[Sequence[Any]]) -> set[str]:
    """Return the classes of stored boxes; one of a removed class has none."""
    return {box[0] for box in boxes if box[0] is not None}


def predicted_classes(detections: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the highest confidence of each class of stored detections."""
    highest: dict[str, float] = {}
    for found in detections:
        name, confidence = found["class"], float(found["confidence"])
        highest[name] = max(confidence, highest.get(name, confidence))
    return highest


def keep_drawn_classes(session: Session, image_ids: Iterable[int]) -> None:
    """Bring the classes of these images to what their live annotations hold; changes are flushed before."""
    wanted = sorted(set(image_ids))
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        live = select(AnnotationRow.image_id, AnnotationRow.boxes).where(
            AnnotationRow.image_id.in_(part), AnnotationRow.is_deleted.is_(False)
        )
        drawn = {(name, row[0]) for row in session.execute(live) for name in drawn_classes(row[1])}
        known = {
            (row[0], row[1])
            for row in session.execute(
                select(AnnotationClassRow.damage_class, AnnotationClassRow.image_id).where(
                    AnnotationClassRow.image_id.in_(part)
                )
            )
        }
        for name, image_id in sorted(known - drawn):
            gone = (AnnotationClassRow.damage_class == name, AnnotationClassRow.image_id == image_id)
            session.execute(delete(AnnotationClassRow).where(*gone))
        if drawn - known:
            rows = [{"damage_class": name, "image_id": image_id} for name, image_id in sorted(drawn - known)]
            session.execute(insert(AnnotationClassRow), rows)


def keep_predicted_classes(session: Session, predictions: Sequence[PredictionRow], are_new: bool = False) -> None:
    """Write the classes of these predictions of few versions; `are_new`: none of them has any yet."""
    if not are_new:
        for row in predictions:
            same = (
                PredictionClassRow.model_version == row.model_version,
                PredictionClassRow.image_id == row.image_id,
            )
            session.execute(delete(PredictionClassRow).where(*same))
    rows = [
        {"model_version": row.model_version, "damage_class": name, "image_id": row.image_id, "top_score": score}
        for row in predictions
        for name, score in predicted_classes(row.detections).items()
    ]
    if rows:
        session.execute(insert(PredictionClassRow), rows)
