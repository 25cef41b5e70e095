"""Saved subsets of images: kept under a name, chosen by numbers or by a filter at the moment of saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from damageloop.domain.gallery import GallerySearch
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.subset import Subset, SubsetQuery, checked_name, merged
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.search_images import every_place
from damageloop.services.insight.browse import Page

_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Subsets:
    """One transaction for each call; every method raises NotFoundError for a subset or an image that is unknown."""

    units: UnitOfWorkFactory
    clock: Clock
    params: Params

    def all(self) -> list[Subset]:
        """Return all subsets, oldest first."""
        with self.units(read_only=True) as work:
            return work.subsets.all()

    def page(self, limit: int, after: int | None) -> Page[Subset]:
        """Return subsets, oldest first."""
        with self.units(read_only=True) as work:
            rest = work.subsets.page(limit + 1, after)
        return Page(tuple(rest[:limit]), rest[limit - 1].id if len(rest) > limit else None)

    def get(self, subset_id: int) -> Subset:
        with self.units(read_only=True) as work:
            return work.subsets.get(subset_id)

    def find(self, name: str) -> Subset:
        """Return the subset of this name."""
        with self.units(read_only=True) as work:
            subset = work.subsets.by_name(name.strip())
        if subset is None:
            raise NotFoundError(f"There is no subset {name!r}.")
        return subset

    def create(
        self, name: str, note: str, image_ids: Sequence[int] | None, query: SubsetQuery | None, created_by: str
    ) -> Subset:
        """Save a new subset of these images, or of those that meet the filter now.

        Raises:
            InvalidInputError: If the name is empty or too long, or not exactly one of images and filter is given.
            ConflictError: If the name is taken.
        """
        chosen = self._chosen(image_ids, query)
        with self.units() as work:
            subset = work.subsets.add(checked_name(name), note, chosen, created_by, self.clock.now(), query)
            work.commit()
        return subset

    def replace(
        self, subset_id: int, name: str, note: str, image_ids: Sequence[int] | None, query: SubsetQuery | None
    ) -> Subset:
        """Save other content under the number of a subset; see `create` for the errors."""
        self.get(subset_id)
        chosen = self._chosen(image_ids, query)
        with self.units() as work:
            subset = work.subsets.replace(subset_id, checked_name(name), note, chosen, self.clock.now(), query)
            work.commit()
        return subset

    def renew(self, subset_id: int) -> Subset:
        """Choose the images anew by the filter that the subset was made from.

        Raises:
            ConflictError: If it has none: its images were named, or changed by hand.
        """
        known = self.get(subset_id)
        if known.query is None:
            raise ConflictError(f"The images of {known.name!r} were named one by one: there is no filter to renew by.")
        return self.replace(subset_id, known.name, known.note, None, known.query)

    def change(self, subset_id: int, added: Sequence[int] = (), removed: Sequence[int] = ()) -> Subset:
        """Add some images and then take some out; one that is in already, or not in at all, changes nothing.

        The subset's filter is forgotten: it no longer says what is in it.
        """
        with self.units() as work:
            known = work.subsets.get(subset_id)
            _refuse_unknown(work, added)
            ids = merged(known.image_ids, added, removed)
            subset = work.subsets.replace(subset_id, known.name, known.note, ids, self.clock.now())
            work.commit()
        return subset

    def delete(self, subset_id: int) -> None:
        """Forget a subset; its images stay."""
        with self.units() as work:
            work.subsets.remove(subset_id)
            work.commit()

    def _chosen(self, image_ids: Sequence[int] | None, query: SubsetQuery | None) -> tuple[int, ...]:
        # Reading only: a filter over a large pool takes longer than other writers would wait.
        with self.units(read_only=True) as work:
            return _chosen(work, self.params, image_ids, query)


def resolve(work: UnitOfWork, params: Params, query: SubsetQuery) -> tuple[int, ...]:
    """Return the active images that meet the filter now, in ascending order."""
    return tuple(sorted(place.image_id for place in every_place(work, params, GallerySearch(query))))


def images_of(work: UnitOfWork, name: str) -> list[Image]:
    """Return the active images of a saved subset, by id. Raises NotFoundError if there is no such subset."""
    subset = work.subsets.by_name(name.strip())
    if subset is None:
        raise NotFoundError(f"There is no subset {name!r}.")
    return [image for image in work.images.get_many(subset.image_ids) if image.status is ImageStatus.ACTIVE]


def _chosen(
    work: UnitOfWork, params: Params, image_ids: Sequence[int] | None, query: SubsetQuery | None
) -> tuple[int, ...]:
    if (image_ids is None) == (query is None):
        raise InvalidInputError("A subset is made of image_ids or of a query: give exactly one of them.")
    if query is not None:
        return resolve(work, params, query)
    _refuse_unknown(work, image_ids or ())
    return merged(image_ids or ())


def _refuse_unknown(work: UnitOfWork, image_ids: Sequence[int]) -> None:
    known = {image.id for image in work.images.get_many(sorted(set(image_ids)))}
    unknown = sorted(set(image_ids) - known)
    if unknown:
        named = ", ".join(str(image_id) for image_id in unknown[:_MAX_NAMED])
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        raise NotFoundError(f"There is no image {named}{more}.")
