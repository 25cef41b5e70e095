"""Images as people look through them: with what was drawn, what the champion found, and their place in a round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from damageloop.domain.annotation import Annotation
from damageloop.domain.gallery import GallerySearch, Place
from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, Prediction, current_detections
from damageloop.domain.round import RoundItem
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.search_images import next_places, scores_of
from damageloop.services.reviews.receive_reviews import IDENTITY
from damageloop.services.reviews.resolve_annotations import resolve_annotations

# Nobody reads on after so many: counting further would cost more than it tells.
MAX_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """An image with what is known of it.

    Attributes:
        annotation: The one that counts; None where nobody has looked.
        detections: The champion's from the display threshold on; None where it has not looked, and of held-out images:
            nobody looks them up by what a model says.
        top_score: The champion's highest score; None where `detections` is.
        round_item: Its newest place in a round.
        label_studio_url: Where a person opens its task.
    """

    image: Image
    annotation: Annotation | None
    detections: tuple[Detection, ...] | None
    top_score: float | None
    round_item: RoundItem | None
    label_studio_url: str | None


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """Part of a list; `next_after` is what the next call passes as `after`, None at the end."""

    items: tuple[GalleryItem, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """How many there are; with `is_more` at least so many."""

    count: int
    is_more: bool


@dataclass(frozen=True, slots=True)
class Gallery:
    """Lists images. `load_params` gives the parameters as they are now; `label_studio` is its address for people."""

    units: UnitOfWorkFactory
    load_params: Callable[[], Params]
    label_studio: str

    def page(self, search: GallerySearch, limit: int, after: str | None) -> GalleryPage:
        """Return the next images of a search.

        Raises:
            InvalidInputError: If `after` is not from a page of this order.
            NotFoundError: If there is no such subset or round.
        """
        params, place = self.load_params(), None if after is None else Place.read(after, search.order)
        with self.units(read_only=True) as work:
            _refuse_unknown(work, search)
            places, has_more = next_places(work, params, search, place, limit)
            items = self._items(work, params, [found.image_id for found in places])
        return GalleryPage(items, places[-1].told(search.order) if has_more else None)

    def count(self, search: GallerySearch) -> BoundedCount:
        """Return how many images meet a search, up to a thousand. Raises NotFoundError as `page` does."""
        with self.units(read_only=True) as work:
            _refuse_unknown(work, search)
            places, is_more = next_places(work, self.load_params(), search, None, MAX_COUNTED)
        return BoundedCount(len(places), is_more)

    def of_images(self, image_ids: Sequence[int]) -> tuple[GalleryItem, ...]:
        """Return these images in this order, without those that are not there."""
        with self.units(read_only=True) as work:
            return self._items(work, self.load_params(), image_ids)

    def _items(self, work: UnitOfWork, params: Params, image_ids: Sequence[int]) -> tuple[GalleryItem, ...]:
        images = work.images.get_many(image_ids)
        annotations = resolve_annotations(work, params, image_ids)
        predictions = _predictions(work, params, images)
        places = work.gallery.newest_items(image_ids)
        project = (work.facts.get(IDENTITY) or {}).get("project_id")
        return tuple(
            _item(
                image,
                annotations.get(image.id),
                predictions.get(image.id),
                places.get(image.id),
                params,
                self._address(project, places.get(image.id), annotations.get(image.id)),
            )
            for image in images
        )

    def _address(self, project: int | None, item: RoundItem | None, annotation: Annotation | None) -> str | None:
        task = (item.task_id if item else None) or (annotation.task_id if annotation else None)
        if project is None or task is None:
            return None
        return f"{self.label_studio.rstrip('/')}/projects/{project}/data?task={task}"


def _predictions(work: UnitOfWork, params: Params, images: Sequence[Image]) -> Mapping[int, Prediction]:
    version = scores_of(work, params).model_version
    train = [image.id for image in images if image.split is Split.TRAIN]
    return work.predictions.of_version(version, train) if version is not None else {}


def _item(
    image: Image,
    annotation: Annotation | None,
    prediction: Prediction | None,
    round_item: RoundItem | None,
    params: Params,
    address: str | None,
) -> GalleryItem:
    if prediction is None:
        return GalleryItem(image, annotation, None, None, round_item, address)
    shown = tuple(d for d in prediction.detections if d.confidence >= params.annotation.display_threshold)
    detections = current_detections(shown, params.labels.former)
    return GalleryItem(image, annotation, detections, prediction.top_score, round_item, address)


def _refuse_unknown(work: UnitOfWork, search: GallerySearch) -> None:
    if search.subset_id is not None:
        work.subsets.get(search.subset_id)
    if search.query.round_id is not None:
        work.rounds.get(search.query.round_id)
