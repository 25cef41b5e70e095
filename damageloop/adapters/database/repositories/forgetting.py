"""Takes out of the database what it knows of forgotten images. Rows that others count on stay, emptied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.gallery_tables import PredictionClassRow
from damageloop.adapters.database.monitoring_tables import ServedImageRow
from damageloop.adapters.database.pricing_tables import BatchItemRow
from damageloop.adapters.database.record_tables import SecondOpinionRow
from damageloop.adapters.database.repositories.changes import next_change
from damageloop.adapters.database.tables import (
    AnnotationRow,
    EvidenceRow,
    ImageRequestRow,
    ImageRow,
    LabelErrorRow,
    PredictionRow,
    QuarantineRow,
    RefusedPredictionRow,
    RoundItemRow,
    RoundRow,
    SubsetRow,
)
from damageloop.domain.image import FORGOTTEN_NAME, ImageStatus, forgotten_key
from damageloop.domain.round import ItemState, RoundState
from damageloop.domain.second_opinion import OpinionState

_NO_HASH = "0" * 16
# What a batch says of a photo that was forgotten after it was answered.
_FORGOTTEN_LINE = {"prediction": None, "error": {"code": "forgotten", "message": "This photo was forgotten."}}


def forget_rows(session: Session, image_ids: Sequence[int], now: datetime) -> None:
    """Empty the images' rows and all that is about them; the caller keeps `image_ids` below a thousand.

    Their number, hashes, size and split stay, by which rounds and snapshots are still understood.
    """
    rows = list(session.scalars(select(ImageRow).where(ImageRow.id.in_(image_ids)).order_by(ImageRow.id)))
    sources = [row.source_sha256 for row in rows]
    for table in (PredictionClassRow, PredictionRow, RefusedPredictionRow, LabelErrorRow):
        session.execute(delete(table).where(table.image_id.in_(image_ids)))
    session.execute(delete(QuarantineRow).where(QuarantineRow.source_sha256.in_(sources)))
    _forget_answers(session, sources)
    _end_requests(session, image_ids, now)
    _withdraw_items(session, image_ids)
    _leave_subsets(session, set(image_ids), now)
    _empty_images(session, rows)
    session.flush()


def _forget_answers(session: Session, sources: Sequence[str]) -> None:
    """Remove evidence and lines of batches of these files: both name photos by the hash of the file that came."""
    # One look at all evidence, however many files: others wait to write meanwhile.
    query = select(EvidenceRow.request_id, EvidenceRow.answer["image_sha256"]).execution_options(yield_per=CHUNK)
    found = [request_id for request_id, hashes in session.execute(query) if not set(sources).isdisjoint(hashes or ())]
    for start in range(0, len(found), CHUNK):
        session.execute(delete(EvidenceRow).where(EvidenceRow.request_id.in_(found[start : start + CHUNK])))
    for start in range(0, len(sources), CHUNK):
        part = sources[start : start + CHUNK]
        session.execute(delete(ServedImageRow).where(ServedImageRow.sha256.in_(part)))
    lines = update(BatchItemRow).where(BatchItemRow.sha256.in_(sources), BatchItemRow.is_answered)
    session.execute(lines.values(filename=FORGOTTEN_NAME, answer=_FORGOTTEN_LINE))


def _end_requests(session: Session, image_ids: Sequence[int], now: datetime) -> None:
    for request in session.scalars(select(ImageRequestRow).where(ImageRequestRow.image_id.in_(image_ids))):
        request.reason, request.ended_at = FORGOTTEN_NAME, request.ended_at or now
    open_states = [OpinionState.PENDING.value, OpinionState.SENT.value]
    for opinion in session.scalars(select(SecondOpinionRow).where(SecondOpinionRow.image_id.in_(image_ids))):
        opinion.reason = FORGOTTEN_NAME
        if opinion.state in open_states:
            opinion.state, opinion.ended_at = OpinionState.WITHDRAWN.value, now


def _withdraw_items(session: Session, image_ids: Sequence[int]) -> None:
    unclosed = select(RoundRow.id).where(RoundRow.state != RoundState.CLOSED.value)
    query = update(RoundItemRow).where(RoundItemRow.image_id.in_(image_ids), RoundItemRow.round_id.in_(unclosed))
    session.execute(query.values(state=ItemState.WITHDRAWN.value))


def _leave_subsets(session: Session, image_ids: set[int], now: datetime) -> None:
    for subset in session.scalars(select(SubsetRow)):
        kept = [image_id for image_id in subset.image_ids if image_id not in image_ids]
        if len(kept) < len(subset.image_ids):
            subset.image_ids, subset.updated_at = kept, now


def _empty_images(session: Session, rows: Sequence[ImageRow]) -> None:
    _rename_groups(session, rows)
    for row in rows:
        row.status = ImageStatus.FORGOTTEN.value
        row.file_name = FORGOTTEN_NAME
        row.vehicle = row.group_key = forgotten_key(row.id)
        row.perceptual_hash = _NO_HASH
        row.brightness = row.contrast = row.sharpness = 0.0
        row.noise = None
        row.n_bytes = 0
        row.sequence = next_change(session)
        session.flush()


def _rename_groups(session: Session, rows: Sequence[ImageRow]) -> None:
    """Give groups that are named after a forgotten vehicle the name of one that stays; their members stay together."""
    ids = [row.id for row in rows]
    for group in {row.group_key for row in rows}:
        others = select(ImageRow).where(ImageRow.group_key == group, ImageRow.id.not_in(ids)).order_by(ImageRow.id)
        staying = list(session.scalars(others))
        if not staying or any(image.vehicle == group for image in staying):
            continue
        # Each vehicle is in one group alone, so this name is free.
        name = staying[0].vehicle
        for image in staying:
            image.group_key, image.sequence = name, next_change(session)
            session.flush()


def unlabeled_before(session: Session, moment: datetime, limit: int) -> list[int]:
    """Return images from before the moment that nobody annotated, asked for or holds in a round, oldest first."""
    annotated = select(AnnotationRow.image_id)
    held = (
        select(RoundItemRow.image_id)
        .join(RoundRow, RoundRow.id == RoundItemRow.round_id)
        .where(RoundRow.state != RoundState.CLOSED.value)
    )
    asked_for = select(ImageRequestRow.image_id).where(ImageRequestRow.ended_at.is_(None))
    query = (
        select(ImageRow.id)
        .where(
            or_(
                ImageRow.status == ImageStatus.ACTIVE.value,
                ImageRow.status == ImageStatus.EXCLUDED_LEAK.value,
            ),
            ImageRow.created_at < moment,
            ImageRow.id.not_in(annotated),
            ImageRow.id.not_in(held),
            ImageRow.id.not_in(asked_for),
        )
        .order_by(ImageRow.id)
        .limit(limit)
    )
    return list(session.scalars(query))
