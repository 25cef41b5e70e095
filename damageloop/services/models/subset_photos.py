"""The photos of a saved subset that a model can be judged on: those with a label that counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError
from damageloop.params import Params
from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.images.subsets import images_of
from damageloop.services.models.evaluate_model import KnownPhoto
from damageloop.services.reviews.resolve_annotations import resolve_annotations


@dataclass(frozen=True, slots=True)
class SubsetPhotos:
    """Labeled photos of a subset.

    Attributes:
        unlabeled: Active images of the subset that nobody labeled; they take no part.
        train: How many of the photos are of the train split, from which models learn.
    """

    photos: tuple[KnownPhoto, ...]
    unlabeled: int
    train: int


def subset_photos(work: UnitOfWork, params: Params, store: ImageStore, name: str) -> SubsetPhotos:
    """Return the labeled photos of a subset; photos of one group count as one vehicle.

    Raises:
        NotFoundError: If there is no such subset.
        InvalidInputError: If none of its images is labeled.
    """
    images = images_of(work, name)
    counting = resolve_annotations(work, params, [image.id for image in images])
    labeled = [image for image in images if image.id in counting and counting[image.id].is_labeled]
    if not labeled:
        raise InvalidInputError(f"The subset {name!r} has no labeled image: there is nothing to judge a model on.")
    photos = tuple(
        KnownPhoto(image.store_key, partial(store.read, image.store_key), counting[image.id].boxes, image.group)
        for image in labeled
    )
    return SubsetPhotos(photos, len(images) - len(labeled), sum(image.split is Split.TRAIN for image in labeled))
