"""Predictions of every model version, those refused before sending, and evidence of served answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.conversions import detections_from_json, detections_to_json
from damageloop.adapters.database.repositories.classes import keep_predicted_classes
from damageloop.adapters.database.repositories.expiry import expire_evidence
from damageloop.adapters.database.repositories.inserting import insert_missing
from damageloop.adapters.database.repositories.relabeling import rename_predictions
from damageloop.adapters.database.tables import EvidenceRow, ImageRow, PredictionRow, RefusedPredictionRow
from damageloop.domain.evidence import Evidence
from damageloop.domain.image import ImageStatus
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.split import Split
from damageloop.errors import NotFoundError


class SqlPredictions:
    """Implements `PredictionRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_many(self, predictions: Sequence[Prediction], now: datetime) -> None:
        if not predictions:
            return
        version = predictions[0].model_version
        ids = [p.image_id for p in predictions]
        # One that was forgotten while a model looked at it takes nothing in.
        present = set(self.of_version(version, ids)) | self._forgotten(ids)
        rows = [
            PredictionRow(
                image_id=p.image_id,
                model_version=p.model_version,
                detections=detections_to_json(p.detections),
                mirrored=None if p.mirrored is None else detections_to_json(p.mirrored),
                top_score=p.top_score,
                created_at=now,
            )
            for p in predictions
            if p.image_id not in present
        ]
        self._session.add_all(rows)
        self._session.flush()
        keep_predicted_classes(self._session, rows, are_new=True)

    def _forgotten(self, image_ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(image_ids), CHUNK):
            part = ImageRow.id.in_(image_ids[start : start + CHUNK])
            found |= set(
                self._session.scalars(select(ImageRow.id).where(part, ImageRow.status == ImageStatus.FORGOTTEN.value))
            )
        return found

    def of_version(self, model_version: int, image_ids: Sequence[int] | None = None) -> dict[int, Prediction]:
        query = select(PredictionRow).where(PredictionRow.model_version == model_version)
        if image_ids is None:
            return {row.image_id: to_prediction(row) for row in self._session.scalars(query)}
        found: dict[int, Prediction] = {}
        for start in range(0, len(image_ids), CHUNK):
            part = query.where(PredictionRow.image_id.in_(image_ids[start : start + CHUNK]))
            found.update({row.image_id: to_prediction(row) for row in self._session.scalars(part)})
        return found

    def unmirrored(self, model_version: int) -> list[int]:
        query = (
            select(PredictionRow.image_id)
            .join(ImageRow, ImageRow.id == PredictionRow.image_id)
            .where(
                PredictionRow.model_version == model_version,
                PredictionRow.mirrored.is_(None),
                ImageRow.status == ImageStatus.ACTIVE.value,
                ImageRow.split == Split.TRAIN.value,
            )
            .order_by(PredictionRow.image_id)
        )
        return list(self._session.scalars(query))

    def add_mirrored(self, model_version: int, detections: Mapping[int, Sequence[Detection]]) -> None:
        image_ids = list(detections)
        for start in range(0, len(image_ids), CHUNK):
            query = select(PredictionRow).where(
                PredictionRow.model_version == model_version,
                PredictionRow.image_id.in_(image_ids[start : start + CHUNK]),
                PredictionRow.mirrored.is_(None),
            )
            for row in self._session.scalars(query):
                row.mirrored = detections_to_json(detections[row.image_id])
        self._session.flush()

    def rename_classes(self, former: FormerNames, limit: int) -> int:
        return rename_predictions(self._session, former, limit)

    def count(self, model_version: int) -> int:
        query = select(func.count()).where(PredictionRow.model_version == model_version)
        return self._session.scalar(query) or 0

    def refuse(self, image_id: int, model_version: int, reason: str, now: datetime) -> None:
        same = select(RefusedPredictionRow).where(
            RefusedPredictionRow.image_id == image_id, RefusedPredictionRow.model_version == model_version
        )
        if self._session.scalar(same) is None:
            self._session.add(
                RefusedPredictionRow(image_id=image_id, model_version=model_version, reason=reason, created_at=now)
            )

    def refused(self, model_version: int) -> list[tuple[int, str]]:
        query = select(RefusedPredictionRow).where(RefusedPredictionRow.model_version == model_version)
        return [(row.image_id, row.reason) for row in self._session.scalars(query)]


class SqlEvidence:
    """Implements `EvidenceRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        request_id: str,
        model_version: int,
        answer: Mapping[str, Any],
        now: datetime,
        api_key_id: int | None = None,
    ) -> None:
        self.add_many([Evidence(request_id, model_version, answer, api_key_id, now)])

    def add_many(self, evidence: Sequence[Evidence]) -> None:
        rows = [
            {
                "request_id": one.request_id,
                "model_version": one.model_version,
                "answer": dict(one.content),
                "created_at": one.answered_at,
                "api_key_id": one.api_key_id,
            }
            for one in evidence
        ]
        insert_missing(self._session, EvidenceRow, ("request_id",), rows)

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_evidence(self._session, before, limit, is_dry_run)

    def get(self, request_id: str) -> dict[str, Any]:
        row = self._session.get(EvidenceRow, request_id)
        if row is None:
            raise NotFoundError(f"There is no prediction {request_id}, or it is no longer kept.")
        return row.answer


def to_prediction(row: PredictionRow) -> Prediction:
    """Return the prediction that a row describes."""
    mirrored = None if row.mirrored is None else detections_from_json(row.mirrored)
    return Prediction(row.image_id, row.model_version, detections_from_json(row.detections), row.top_score, mirrored)
