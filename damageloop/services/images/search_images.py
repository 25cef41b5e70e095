"""Finds images by a filter, in an order: what the gallery shows and what saved subsets hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from damageloop.domain.annotation import Annotation
from damageloop.domain.gallery import GallerySearch, Place, ScoresOf
from damageloop.domain.subset import SubsetQuery
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.resolve_annotations import resolve_annotations

# Of places that are read at once.
_AT_ONCE = 1000


def next_places(
    work: UnitOfWork, params: Params, search: GallerySearch, after: Place | None, limit: int
) -> tuple[list[Place], bool]:
    """Return at most `limit` images that meet the search, in its order, and whether there are more."""
    found = list(islice(_places(work, params, search, after, min(limit + 1, _AT_ONCE)), limit + 1))
    return found[:limit], len(found) > limit


def every_place(work: UnitOfWork, params: Params, search: GallerySearch) -> Iterator[Place]:
    """Yield all images that meet the search, in its order."""
    return _places(work, params, search, None, _AT_ONCE)


def scores_of(work: UnitOfWork, params: Params) -> ScoresOf:
    """Return whose scores a search goes by now."""
    champion = work.models.champion()
    return ScoresOf(champion.model_version if champion else None, params.annotation.display_threshold)


def _places(
    work: UnitOfWork, params: Params, search: GallerySearch, after: Place | None, at_once: int
) -> Iterator[Place]:
    scores = scores_of(work, params)
    while places := work.gallery.places(search, scores, after, at_once):
        yield from _meeting(work, params, search.query, places)
        if len(places) < at_once:
            return
        after = places[-1]


def _meeting(work: UnitOfWork, params: Params, query: SubsetQuery, places: Sequence[Place]) -> list[Place]:
    """Return the places without those that were found by an annotation which does not count."""
    if not query.asks_for_labels:
        return list(places)
    disputed = work.gallery.disputed([place.image_id for place in places])
    counting = resolve_annotations(work, params, sorted(disputed)) if disputed else {}
    return [p for p in places if p.image_id not in disputed or _is_met(query, counting.get(p.image_id))]


def _is_met(query: SubsetQuery, annotation: Annotation | None) -> bool:
    drawn = {box.damage_class for box in annotation.boxes} if annotation and annotation.is_labeled else None
    if query.damage_class is not None and query.damage_class not in (drawn or ()):
        return False
    return query.is_labeled is None or query.is_labeled == (drawn is not None)
