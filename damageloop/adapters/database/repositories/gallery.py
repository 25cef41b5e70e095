"""Finds images by filters, page by page, from the place where the page before ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, cast, exists, func, select, true, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.gallery_tables import AnnotationClassRow, PredictionClassRow
from damageloop.adapters.database.repositories.classes import drawn_classes, predicted_classes
from damageloop.adapters.database.repositories.rounds import to_item
from damageloop.adapters.database.tables import AnnotationRow, ImageRow, PredictionRow, RoundItemRow, SubsetRow
from damageloop.domain.annotation import LABELED_VERDICTS
from damageloop.domain.gallery import GalleryOrder, GallerySearch, Place, ScoresOf
from damageloop.domain.round import RoundItem
from damageloop.domain.split import Split

Condition = ColumnElement[bool]
# Distances are differences of floats: what an index is asked for reaches a little further than what is compared.
_SLACK = 1e-9


class SqlGallery:
    """Implements `GalleryRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def places(self, search: GallerySearch, scores: ScoresOf, after: Place | None, limit: int) -> list[Place]:
        if search.needs_scores and scores.model_version is None:
            return []
        if search.order is GalleryOrder.UNCERTAIN:
            query = self._closest(search, scores, after, limit)
        else:
            query = self._ordered(search, scores, after).limit(limit)
        return [Place(row[0], float(row[1])) for row in self._session.execute(query)]

    def disputed(self, image_ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(image_ids), CHUNK):
            part = AnnotationRow.image_id.in_(image_ids[start : start + CHUNK])
            live = select(AnnotationRow.image_id).where(part, AnnotationRow.is_deleted.is_(False))
            found |= set(self._session.scalars(live.group_by(AnnotationRow.image_id).having(func.count() > 1)))
        return found

    def newest_items(self, image_ids: Sequence[int]) -> dict[int, RoundItem]:
        found: dict[int, RoundItem] = {}
        for start in range(0, len(image_ids), CHUNK):
            part = RoundItemRow.image_id.in_(image_ids[start : start + CHUNK])
            rows = self._session.scalars(select(RoundItemRow).where(part).order_by(RoundItemRow.id))
            found.update({row.image_id: to_item(row) for row in rows})
        return found

    def wrong_classes(self, after_id: int, limit: int) -> tuple[list[str], int | None]:
        ids = list(
            self._session.scalars(select(ImageRow.id).where(ImageRow.id > after_id).order_by(ImageRow.id).limit(limit))
        )
        if not ids:
            return [], None
        span = (ids[0], ids[-1])
        wrong = _differing("annotation_classes", self._drawn(span), self._kept_drawn(span))
        wrong += _differing("prediction_classes", self._predicted(span), self._kept_predicted(span))
        return wrong, ids[-1]

    def _ordered(self, search: GallerySearch, scores: ScoresOf, after: Place | None) -> Select[Any]:
        order, score = search.order, _score(search)
        if order is GalleryOrder.SCORE:
            query = self._filtered(search, scores, _scored_image(search), score)
            place, falling = tuple_(score, _scored_image(search)), (score.desc(), _scored_image(search).desc())
            return query.where(*_below(place, after)).order_by(*falling)
        if order is GalleryOrder.BRIGHTNESS:
            query = self._filtered(search, scores, ImageRow.id, ImageRow.brightness)
            darker = tuple_(ImageRow.brightness, ImageRow.id)
            return query.where(*_above(darker, after)).order_by(ImageRow.brightness, ImageRow.id)
        if order is GalleryOrder.RANK:
            query = self._filtered(search, scores, ImageRow.id, RoundItemRow.rank)
            ranked = tuple_(RoundItemRow.rank, ImageRow.id)
            return query.where(*_above(ranked, after)).order_by(RoundItemRow.rank, ImageRow.id)
        image_id = _leading_id(search)
        query = self._filtered(search, scores, image_id, image_id)
        older = () if after is None else (image_id < after.image_id,)
        return query.where(*older).order_by(image_id.desc())

    def _closest(self, search: GallerySearch, scores: ScoresOf, after: Place | None, limit: int) -> Select[Any]:
        """Return the images by the distance of their score from the threshold: those above and those below, merged."""
        score, image_id, middle = _score(search), _scored_image(search), scores.display_threshold
        parts = []
        for is_above in (True, False):
            distance = (score - middle if is_above else middle - score).label("distance")
            query = self._filtered(search, scores, image_id, distance)
            query = query.where(score >= middle if is_above else score < middle)
            if after is not None:
                edge = after.key - _SLACK
                query = query.where(score >= middle + edge if is_above else score <= middle - edge)
                query = query.where(tuple_(distance, image_id) > tuple_(after.key, after.image_id))
            query = query.order_by(score if is_above else score.desc(), image_id).limit(limit)
            parts.append(select(query.subquery()))
        both = union_all(*parts).subquery()
        found, far = both.c
        return select(found, far).order_by(far, found).limit(limit)

    def _filtered(self, search: GallerySearch, scores: ScoresOf, image_id: Any, key: Any) -> Select[Any]:
        """Return the selection of image and key, with all conditions but the place."""
        asked = search.query
        query = select(image_id, key).select_from(ImageRow)
        query = query.where(*_of_image(search))
        if search.needs_scores:
            query = _with_scores(query, search, scores)
        if asked.damage_class is not None:
            query = query.join(AnnotationClassRow, AnnotationClassRow.image_id == ImageRow.id)
            query = query.where(AnnotationClassRow.damage_class == asked.damage_class)
        if asked.round_id is not None:
            query = query.join(RoundItemRow, RoundItemRow.image_id == ImageRow.id)
            query = query.where(RoundItemRow.round_id == asked.round_id, *_of_item(search, RoundItemRow))
        elif asked.share is not None or search.item_state is not None:
            item = aliased(RoundItemRow)
            query = query.where(exists().where(item.image_id == ImageRow.id, *_of_item(search, item)))
        if asked.is_labeled is not None or asked.damage_class is not None:
            query = query.where(_is_labeled() if asked.is_labeled is not False else ~_is_labeled() | _is_disputed())
        if search.subset_id is not None:
            members = _members(search.subset_id, self._session.get_bind().dialect.name)
            query = query.where(ImageRow.id.in_(members))
        return query

    def _drawn(self, span: tuple[int, int]) -> set[Any]:
        query = select(AnnotationRow.image_id, AnnotationRow.boxes).where(
            AnnotationRow.image_id.between(*span), AnnotationRow.is_deleted.is_(False)
        )
        return {(row[0], name) for row in self._session.execute(query) for name in drawn_classes(row[1])}

    def _kept_drawn(self, span: tuple[int, int]) -> set[Any]:
        query = select(AnnotationClassRow.image_id, AnnotationClassRow.damage_class)
        return {(*row,) for row in self._session.execute(query.where(AnnotationClassRow.image_id.between(*span)))}

    def _predicted(self, span: tuple[int, int]) -> set[Any]:
        query = select(PredictionRow.image_id, PredictionRow.model_version, PredictionRow.detections)
        rows = self._session.execute(query.where(PredictionRow.image_id.between(*span)))
        return {(row[0], row[1], *pair) for row in rows for pair in predicted_classes(row[2]).items()}

    def _kept_predicted(self, span: tuple[int, int]) -> set[Any]:
        kept = PredictionClassRow
        query = select(kept.image_id, kept.model_version, kept.damage_class, kept.top_score)
        return {(*row,) for row in self._session.execute(query.where(kept.image_id.between(*span)))}


def _of_image(search: GallerySearch) -> list[Condition]:
    asked = search.query
    found: list[Condition] = [ImageRow.status == search.status.value]
    if asked.split is not None:
        found.append(ImageRow.split == asked.split.value)
    if asked.vehicle is not None:
        found.append(ImageRow.vehicle == asked.vehicle)
    if asked.min_brightness is not None:
        found.append(ImageRow.brightness >= asked.min_brightness)
    if asked.max_brightness is not None:
        found.append(ImageRow.brightness <= asked.max_brightness)
    if asked.max_sharpness is not None:
        found.append(ImageRow.sharpness <= asked.max_sharpness)
    return found


def _of_item(search: GallerySearch, item: Any) -> list[Condition]:
    found: list[Condition] = []
    if search.query.share is not None:
        found.append(item.share == search.query.share.value)
    if search.item_state is not None:
        found.append(item.state == search.item_state.value)
    return found


def _with_scores(query: Select[Any], search: GallerySearch, scores: ScoresOf) -> Select[Any]:
    """Join what the champion says. Of train alone: nobody looks held-out images up by it."""
    asked, score = search.query.seen_from(scores.display_threshold), _score(search)
    table = PredictionRow if asked.predicted_class is None else PredictionClassRow
    query = query.join(table, table.image_id == ImageRow.id)
    query = query.where(ImageRow.split == Split.TRAIN.value, table.model_version == scores.model_version)
    if asked.predicted_class is not None:
        query = query.where(PredictionClassRow.damage_class == asked.predicted_class)
    if asked.min_score is not None:
        query = query.where(score >= asked.min_score)
    return query if asked.max_score is None else query.where(score <= asked.max_score)


def _score(search: GallerySearch) -> InstrumentedAttribute[float]:
    return PredictionRow.top_score if search.query.predicted_class is None else PredictionClassRow.top_score


def _scored_image(search: GallerySearch) -> InstrumentedAttribute[int]:
    return PredictionRow.image_id if search.query.predicted_class is None else PredictionClassRow.image_id


def _leading_id(search: GallerySearch) -> InstrumentedAttribute[int]:
    """Return the image's id in the table whose index both filters and orders."""
    if search.query.damage_class is not None:
        return AnnotationClassRow.image_id
    if search.query.round_id is not None:
        return RoundItemRow.image_id
    return PredictionClassRow.image_id if search.query.predicted_class is not None else ImageRow.id


def _is_labeled() -> Condition:
    verdicts = [verdict.value for verdict in sorted(LABELED_VERDICTS)]
    live = (AnnotationRow.image_id == ImageRow.id, AnnotationRow.is_deleted.is_(False))
    return exists().where(*live, AnnotationRow.verdict.in_(verdicts))


def _is_disputed() -> Condition:
    one, other = aliased(AnnotationRow), aliased(AnnotationRow)
    first = (one.image_id == ImageRow.id, one.is_deleted.is_(False))
    return exists().where(*first, other.image_id == ImageRow.id, other.is_deleted.is_(False), one.id < other.id)


def _members(subset_id: int, dialect: str) -> Select[Any]:
    """Return the ids that a subset's JSON holds."""
    if dialect == "postgresql":
        each = cast(func.json_array_elements_text(SubsetRow.image_ids), Integer)
        return select(each).where(SubsetRow.id == subset_id)
    listed = func.json_each(SubsetRow.image_ids).table_valued("value", name="member")
    return select(listed.c.value).select_from(SubsetRow).join(listed, true()).where(SubsetRow.id == subset_id)


def _above(place: Any, after: Place | None) -> tuple[Condition, ...]:
    return () if after is None else (place > tuple_(after.key, after.image_id),)


def _below(place: Any, after: Place | None) -> tuple[Condition, ...]:
    return () if after is None else (place < tuple_(after.key, after.image_id),)


def _differing(table: str, said: set[Any], kept: set[Any]) -> list[str]:
    """Return in words what rows and table do not share; the first member of each is the image."""
    missing = [f"image {entry[0]}: {table} lacks {entry[1:]}" for entry in said - kept]
    return sorted(missing + [f"image {entry[0]}: {table} holds {entry[1:]} too much" for entry in kept - said])
