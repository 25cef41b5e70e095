"""Numbers of served photos, and the photos of them that are kept for the pool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.monitoring_tables import ProductionPhotoRow, ServedImageRow
from damageloop.adapters.database.repositories.expiry import expire_rows
from damageloop.adapters.database.repositories.inserting import insert_missing
from damageloop.domain.image import ImageQuality
from damageloop.domain.outcome import Outcome
from damageloop.domain.production_photo import ProductionPhoto
from damageloop.domain.served_image import ServedImage

# So many times a file may come on average before a window has fewer photos than there are.
SENT_AGAIN = 5
# What names a photo of an answer.
_PLACE = ("request_id", "position")
_COLUMNS = [column for column in ServedImageRow.__table__.columns if column.name != "id"]


class SqlServedImages:
    """Implements `ServedImageRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_many(self, served: Sequence[ServedImage]) -> None:
        insert_missing(self._session, ServedImageRow, _PLACE, [_to_row(one) for one in served])

    def newest(self, model_version: int, limit: int, since: datetime | None = None) -> list[ServedImage]:
        asked = select(ServedImageRow.id, ServedImageRow.sha256).where(*_asked_for(model_version))
        if since is not None:
            asked = asked.where(ServedImageRow.answered_at >= since)
        # The end of the table alone: a version may have answered millions.
        last = asked.order_by(ServedImageRow.id.desc()).limit(limit * SENT_AGAIN).subquery()
        newest = select(func.max(last.c.id)).group_by(last.c.sha256)
        chosen = newest.order_by(func.max(last.c.id).desc()).limit(limit).subquery()
        return self._read(select(*_COLUMNS).where(ServedImageRow.id.in_(select(chosen))))

    def first(self, model_version: int, limit: int) -> list[ServedImage]:
        first = select(func.min(ServedImageRow.id)).where(*_asked_for(model_version)).group_by(ServedImageRow.sha256)
        chosen = first.order_by(func.min(ServedImageRow.id)).limit(limit).subquery()
        return self._read(select(*_COLUMNS).where(ServedImageRow.id.in_(select(chosen))))

    def of_requests(self, request_ids: Sequence[str]) -> list[ServedImage]:
        found: list[ServedImage] = []
        for start in range(0, len(request_ids), CHUNK):
            part = ServedImageRow.request_id.in_(request_ids[start : start + CHUNK])
            found += self._read(select(*_COLUMNS).where(part))
        return found

    def count(self, model_version: int | None = None) -> int:
        query = select(func.count()).select_from(ServedImageRow)
        if model_version is not None:
            query = query.where(ServedImageRow.model_version == model_version)
        return self._session.scalar(query) or 0

    def newest_at(self, model_version: int) -> datetime | None:
        query = select(ServedImageRow.answered_at).where(*_asked_for(model_version))
        return self._session.scalar(query.order_by(ServedImageRow.id.desc()).limit(1))

    def n_since(self, moment: datetime) -> int:
        query = select(func.count()).select_from(ServedImageRow).where(ServedImageRow.answered_at >= moment)
        return self._session.scalar(query) or 0

    def latencies_ms(self, since: datetime, limit: int) -> list[float]:
        query = select(ServedImageRow.latency_ms).where(ServedImageRow.answered_at >= since)
        return list(self._session.scalars(query.order_by(ServedImageRow.answered_at.desc()).limit(limit)))

    def outcomes_by_version(self) -> Mapping[int, Mapping[str, int]]:
        version, outcome = ServedImageRow.model_version, ServedImageRow.outcome
        found: dict[int, dict[str, int]] = defaultdict(dict)
        for row in self._session.execute(select(version, outcome, func.count()).group_by(version, outcome)):
            found[row[0]][row[1]] = row[2]
        return dict(found)

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_rows(self._session, ServedImageRow.id, ServedImageRow.answered_at < before, limit, is_dry_run)

    def _read(self, query: Select[Any]) -> list[ServedImage]:
        # Rows of columns, not objects of the session: a window may hold a hundred thousand.
        rows = self._session.execute(query.order_by(ServedImageRow.id)).mappings()
        return [_to_served(row) for row in rows]


class SqlProductionPhotos:
    """Implements `ProductionPhotoRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, photo: ProductionPhoto) -> None:
        insert_missing(self._session, ProductionPhotoRow, _PLACE, [asdict(photo)])

    def waiting(self, limit: int) -> list[ProductionPhoto]:
        query = select(ProductionPhotoRow).where(ProductionPhotoRow.taken_in_at.is_(None))
        rows = self._session.scalars(query.order_by(ProductionPhotoRow.id).limit(limit))
        return [_to_photo(row) for row in rows]

    def newest_waiting(self) -> ProductionPhoto | None:
        query = select(ProductionPhotoRow).where(ProductionPhotoRow.taken_in_at.is_(None))
        row = self._session.scalar(query.order_by(ProductionPhotoRow.id.desc()).limit(1))
        return _to_photo(row) if row else None

    def n_waiting(self) -> int:
        query = select(func.count()).select_from(ProductionPhotoRow).where(ProductionPhotoRow.taken_in_at.is_(None))
        return self._session.scalar(query) or 0

    def is_waiting(self, request_id: str) -> bool:
        waits = (ProductionPhotoRow.request_id == request_id, ProductionPhotoRow.taken_in_at.is_(None))
        return self._session.scalar(select(ProductionPhotoRow.id).where(*waits).limit(1)) is not None

    def n_kept_since(self, moment: datetime) -> int:
        query = select(func.count()).select_from(ProductionPhotoRow).where(ProductionPhotoRow.kept_at >= moment)
        return self._session.scalar(query) or 0

    def taken_in(self, photo: ProductionPhoto, image_id: int | None, error: str | None, now: datetime) -> None:
        place = (ProductionPhotoRow.request_id == photo.request_id, ProductionPhotoRow.position == photo.position)
        row = self._session.scalars(select(ProductionPhotoRow).where(*place)).one()
        row.taken_in_at, row.image_id, row.error = now, image_id, error
        self._session.flush()

    def images_of(self, request_ids: Sequence[str]) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        row = ProductionPhotoRow
        for start in range(0, len(request_ids), CHUNK):
            part = row.request_id.in_(request_ids[start : start + CHUNK])
            query = select(row.request_id, row.position, row.image_id).where(part, row.image_id.is_not(None))
            for request_id, position, image_id in self._session.execute(query):
                found[(request_id, position)] = image_id or 0
        return found

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        is_old = ProductionPhotoRow.taken_in_at < before
        return expire_rows(self._session, ProductionPhotoRow.id, is_old, limit, is_dry_run)


def _asked_for(model_version: int) -> tuple[Any, ...]:
    # What nobody with a key asked for is a person at the command line, trying things.
    return (ServedImageRow.model_version == model_version, ServedImageRow.api_key_id.is_not(None))


def _to_row(one: ServedImage) -> dict[str, Any]:
    quality = one.quality
    return {
        "request_id": one.request_id,
        "position": one.position,
        "answered_at": one.answered_at,
        "model_version": one.model_version,
        "api_key_id": one.api_key_id,
        "sha256": one.sha256,
        "width": one.size_wh[0],
        "height": one.size_wh[1],
        "brightness": round(quality.brightness, 3),
        "contrast": round(quality.contrast, 3),
        "sharpness": round(quality.sharpness, 3),
        "noise": None if quality.noise is None else round(quality.noise, 4),
        "flags": list(one.flags),
        "outcome": one.outcome.value,
        "none_probability": one.none_probability,
        "top_score": one.top_score,
        "confidences": [[name, round(confidence, 5)] for name, confidence in one.confidences],
        "embedding": one.embedding,
        "latency_ms": round(one.latency_ms, 3),
    }


def _to_served(row: RowMapping) -> ServedImage:
    return ServedImage(
        request_id=row["request_id"],
        position=row["position"],
        answered_at=row["answered_at"],
        model_version=row["model_version"],
        api_key_id=row["api_key_id"],
        sha256=row["sha256"],
        size_wh=(row["width"], row["height"]),
        quality=ImageQuality(row["brightness"], row["contrast"], row["sharpness"], row["noise"]),
        flags=tuple(row["flags"]),
        outcome=Outcome(row["outcome"]),
        none_probability=row["none_probability"],
        top_score=row["top_score"],
        confidences=tuple((name, confidence) for name, confidence in row["confidences"]),
        embedding=row["embedding"],
        latency_ms=row["latency_ms"],
    )


def _to_photo(row: ProductionPhotoRow) -> ProductionPhoto:
    return ProductionPhoto(row.request_id, row.position, row.vehicle, row.store_key, row.kept_at)
