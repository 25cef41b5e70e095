"""Images and what was refused at import."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.repositories.changes import next_change
from damageloop.adapters.database.repositories.forgetting import unlabeled_before
from damageloop.adapters.database.tables import (
    AnnotationRow,
    ImageRequestRow,
    ImageRow,
    PredictionRow,
    QuarantineRow,
    RoundItemRow,
    RoundRow,
)
from damageloop.domain.image import Image, ImageHash, ImageQuality, ImageStatus, Origin, QuarantinedFile, StoredImage
from damageloop.domain.image_request import RequestKind
from damageloop.domain.round import ItemState, RoundState
from damageloop.domain.split import Split
from damageloop.errors import NotFoundError
from damageloop.ports import Clock


class SqlImages:
    """Implements `ImageRepository`."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    def by_source_sha256(self, source_sha256: str) -> Image | None:
        row = self._session.scalar(select(ImageRow).where(ImageRow.source_sha256 == source_sha256))
        return to_image(row) if row else None

    def by_sha256(self, sha256: str) -> Image | None:
        row = self._session.scalars(select(ImageRow).where(ImageRow.sha256 == sha256).order_by(ImageRow.id)).first()
        return to_image(row) if row else None

    def add(
        self,
        stored: StoredImage,
        file_name: str,
        vehicle: str,
        split: Split,
        origin: Origin,
        group: str | None = None,
        status: ImageStatus = ImageStatus.ACTIVE,
    ) -> Image:
        quality = stored.quality
        row = ImageRow(
            sha256=stored.sha256,
            source_sha256=stored.source_sha256,
            extension=stored.extension,
            file_name=file_name,
            width=stored.width,
            height=stored.height,
            n_bytes=stored.n_bytes,
            brightness=quality.brightness,
            contrast=quality.contrast,
            sharpness=quality.sharpness,
            noise=quality.noise,
            perceptual_hash=stored.perceptual_hash,
            vehicle=vehicle,
            group_key=group or vehicle,
            split=split.value,
            status=status.value,
            origin=origin.value,
            created_at=self._clock.now(),
        )
        self._session.add(row)
        self._session.flush()
        return to_image(row)

    def get(self, image_id: int) -> Image:
        row = self._session.get(ImageRow, image_id)
        if row is None:
            raise NotFoundError(f"There is no image {image_id}.")
        return to_image(row)

    def get_many(self, image_ids: Sequence[int]) -> list[Image]:
        found: dict[int, Image] = {}
        for start in range(0, len(image_ids), CHUNK):
            query = select(ImageRow).where(ImageRow.id.in_(image_ids[start : start + CHUNK]))
            found.update({row.id: to_image(row) for row in self._session.scalars(query)})
        return [found[image_id] for image_id in image_ids if image_id in found]

    def group_of_vehicle(self, vehicle: str) -> str | None:
        return self._session.scalar(select(ImageRow.group_key).where(ImageRow.vehicle == vehicle).limit(1))

    def of_vehicle(self, vehicle: str) -> list[Image]:
        query = select(ImageRow).where(ImageRow.vehicle == vehicle).order_by(ImageRow.id)
        return [to_image(row) for row in self._session.scalars(query)]

    def with_bytes_of(self, image_ids: Sequence[int]) -> list[Image]:
        hashes = select(ImageRow.sha256).where(ImageRow.id.in_(image_ids))
        query = select(ImageRow).where(ImageRow.sha256.in_(hashes)).order_by(ImageRow.id)
        return [to_image(row) for row in self._session.scalars(query)]

    def unlabeled_before(self, moment: datetime, limit: int) -> list[int]:
        return unlabeled_before(self._session, moment, limit)

    def of_groups(self, groups: Sequence[str]) -> list[Image]:
        found: list[Image] = []
        for start in range(0, len(groups), CHUNK):
            query = select(ImageRow).where(ImageRow.group_key.in_(groups[start : start + CHUNK]))
            found += [to_image(row) for row in self._session.scalars(query)]
        return sorted(found, key=lambda image: image.id)

    def set_group(self, image_ids: Sequence[int], group: str) -> None:
        self._update(image_ids, group_key=group)

    def exclude_leaks(self, image_ids: Sequence[int]) -> None:
        self._update(image_ids, status=ImageStatus.EXCLUDED_LEAK.value)

    def hashes_after(self, image_id: int) -> list[ImageHash]:
        columns = (ImageRow.perceptual_hash, ImageRow.brightness, ImageRow.contrast, ImageRow.sharpness)
        is_there = ImageRow.status != ImageStatus.FORGOTTEN.value
        query = select(ImageRow.id, *columns).where(ImageRow.id > image_id, is_there).order_by(ImageRow.id)
        return [ImageHash(row[0], row[1], ImageQuality(*row[2:])) for row in self._session.execute(query)]

    def _update(self, image_ids: Sequence[int], **values: str) -> None:
        if not image_ids:
            return
        # What a snapshot says of these images changes with their group or status.
        change = next_change(self._session)
        for start in range(0, len(image_ids), CHUNK):
            rows = ImageRow.id.in_(image_ids[start : start + CHUNK])
            self._session.execute(update(ImageRow).where(rows).values(sequence=change, **values))

    def changed(self, since_sequence: int) -> set[int]:
        return set(self._session.scalars(select(ImageRow.id).where(ImageRow.sequence > since_sequence)))

    def active(self) -> list[Image]:
        query = select(ImageRow).where(ImageRow.status == ImageStatus.ACTIVE.value).order_by(ImageRow.id)
        return [to_image(row) for row in self._session.scalars(query)]

    def of_origin(self, origin: Origin) -> list[Image]:
        query = select(ImageRow).where(ImageRow.origin == origin.value).order_by(ImageRow.id)
        return [to_image(row) for row in self._session.scalars(query)]

    def unscored(self, model_version: int, limit: int | None = None) -> list[Image]:
        query = select(ImageRow).where(*_is_unscored(model_version)).order_by(ImageRow.id).limit(limit)
        return [to_image(row) for row in self._session.scalars(query)]

    def n_unscored(self, model_version: int) -> int:
        query = select(func.count()).select_from(ImageRow).where(*_is_unscored(model_version))
        return self._session.scalar(query) or 0

    def unannotated(self, splits: Sequence[Split]) -> list[Image]:
        query = select(ImageRow).where(*_is_unannotated(splits)).order_by(ImageRow.id)
        return [to_image(row) for row in self._session.scalars(query)]

    def n_unannotated(self, splits: Sequence[Split]) -> int:
        is_skip = (ImageRequestRow.kind == RequestKind.SKIP.value) & ImageRequestRow.ended_at.is_(None)
        skipped = select(ImageRequestRow.image_id).where(is_skip)
        conditions = (*_is_unannotated(splits), ImageRow.id.not_in(skipped))
        return self._session.scalar(select(func.count()).select_from(ImageRow).where(*conditions)) or 0

    def count(self) -> int:
        return self._session.scalar(select(func.count()).select_from(ImageRow)) or 0

    def counts_by_split(self) -> dict[str, int]:
        is_active = ImageRow.status == ImageStatus.ACTIVE.value
        query = select(ImageRow.split, func.count()).where(is_active).group_by(ImageRow.split)
        return {row[0]: row[1] for row in self._session.execute(query)}

    def quarantine(self, item: QuarantinedFile, source_sha256: str | None) -> bool:
        same = select(QuarantineRow.id).where(
            QuarantineRow.file == item.file, QuarantineRow.source_sha256 == source_sha256
        )
        if self._session.scalar(same.limit(1)):
            return False
        self._session.add(
            QuarantineRow(
                file=item.file,
                source_sha256=source_sha256,
                code=item.code,
                reason=item.reason,
                created_at=self._clock.now(),
            )
        )
        return True

    def quarantined(self) -> list[QuarantinedFile]:
        rows = self._session.scalars(select(QuarantineRow).order_by(QuarantineRow.id))
        return [QuarantinedFile(row.file, row.code, row.reason) for row in rows]


def _is_unscored(model_version: int) -> tuple[ColumnElement[bool], ...]:
    scored = select(PredictionRow.image_id).where(PredictionRow.model_version == model_version)
    return (ImageRow.status == ImageStatus.ACTIVE.value, ImageRow.id.not_in(scored))


def _is_unannotated(splits: Sequence[Split]) -> tuple[ColumnElement[bool], ...]:
    """Return what holds of active images that nobody has annotated and that no unclosed round holds."""
    annotated = select(AnnotationRow.image_id).where(AnnotationRow.is_deleted.is_(False))
    held = (
        select(RoundItemRow.image_id)
        .join(RoundRow, RoundRow.id == RoundItemRow.round_id)
        .where(RoundRow.state != RoundState.CLOSED.value, RoundItemRow.state != ItemState.WITHDRAWN.value)
    )
    return (
        ImageRow.status == ImageStatus.ACTIVE.value,
        ImageRow.split.in_([split.value for split in splits]),
        ImageRow.id.not_in(annotated),
        ImageRow.id.not_in(held),
    )


def to_image(row: ImageRow) -> Image:
    """Return the image that a row describes."""
    stored = StoredImage(
        sha256=row.sha256,
        source_sha256=row.source_sha256,
        extension=row.extension,
        width=row.width,
        height=row.height,
        n_bytes=row.n_bytes,
        quality=ImageQuality(row.brightness, row.contrast, row.sharpness, row.noise),
        perceptual_hash=row.perceptual_hash,
    )
    return Image(
        id=row.id,
        stored=stored,
        file_name=row.file_name,
        vehicle=row.vehicle,
        group=row.group_key,
        split=Split(row.split),
        status=ImageStatus(row.status),
        origin=Origin(row.origin),
    )
