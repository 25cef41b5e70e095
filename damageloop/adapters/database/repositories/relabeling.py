"""Brings stored annotations and predictions to the names that classes have now. What was said first is kept beside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.conversions import boxes_from_json
from damageloop.adapters.database.repositories.classes import keep_predicted_classes
from damageloop.adapters.database.tables import AnnotationRow, PredictionRow
from damageloop.domain.annotation import Verdict
from damageloop.domain.labels import FormerNames

# Of a stored box: the class of now (null: removed), four corners, what was said where that differs or a severity
# follows, and the severity where there is one.
_NOW, _SAID = 0, 5


def renamed_rows(session: Session, former: FormerNames) -> Iterator[AnnotationRow]:
    """Name every box as its class is called now and yield the annotations that this changed.

    A box of a removed class is kept without a class, so that it counts again should the class come back. An annotation
    that has no other box says nothing of its image any more: it becomes incomplete, not "no damage".
    """
    for row in session.scalars(select(AnnotationRow).order_by(AnnotationRow.id)):
        boxes = [_named(box, former) for box in row.boxes]
        if boxes == row.boxes:
            continue
        row.boxes = boxes
        if row.verdict in (Verdict.DAMAGED.value, Verdict.INCOMPLETE.value):
            row.verdict = (Verdict.DAMAGED if boxes_from_json(boxes) else Verdict.INCOMPLETE).value
        yield row


def rename_predictions(session: Session, former: FormerNames, limit: int) -> int:
    """Name the boxes of at most `limit` predictions as their class is called now; return how many there were.

    Boxes of removed classes stay: features of boxes are stored in the order of the detections.
    """
    renamed = 0
    for name, present in former.renamed.items():
        wanted = f'"class": {json.dumps(name)}'
        says_so = cast(PredictionRow.detections, Text).contains(wanted, autoescape=True)
        sees_so = cast(PredictionRow.mirrored, Text).contains(wanted, autoescape=True)
        query = select(PredictionRow).where(says_so | sees_so).order_by(PredictionRow.id).limit(limit - renamed)
        changed: list[PredictionRow] = []
        for row in session.scalars(query):
            row.detections = _renamed(row.detections, name, present)
            row.mirrored = None if row.mirrored is None else _renamed(row.mirrored, name, present)
            changed.append(row)
        session.flush()
        keep_predicted_classes(session, changed)
        renamed += len(changed)
    return renamed


def _named(box: Sequence[Any], former: FormerNames) -> list[Any]:
    said = box[_SAID] if len(box) > _SAID else box[_NOW]
    now = former.current(said)
    severity = box[_SAID + 1 :]
    return [now, *box[1:_SAID]] if now == said and not severity else [now, *box[1:_SAID], said, *severity]


def _renamed(detections: Sequence[dict[str, Any]], name: str, present: str) -> list[dict[str, Any]]:
    return [{**found, "class": present} if found["class"] == name else found for found in detections]
