"""Images: their bytes are there, and no car is in two splits."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.split import Split
from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWork


def bytes_unchanged(work: UnitOfWork, store: ImageStore) -> Iterator[str]:
    """Yield active images whose bytes are missing or changed."""
    for image in work.images.active():
        if not store.verify(image.store_key, image.sha256):
            yield f"image {image.id} ({image.file_name}): bytes are missing or changed"


def vehicles_in_one_split(work: UnitOfWork) -> Iterator[str]:
    """Yield images that are in another split than the first of their vehicle."""
    splits: dict[str, Split] = {}
    for image in work.images.active():
        if splits.setdefault(image.vehicle, image.split) is not image.split:
            yield f"vehicle {image.vehicle}: image {image.id} is in {image.split.value}"


def groups_in_one_split(work: UnitOfWork) -> Iterator[str]:
    """Yield images that are in another split than the first of their group, and vehicles in two groups."""
    splits: dict[str, Split] = {}
    groups: dict[str, str] = {}
    for image in work.images.active():
        if splits.setdefault(image.group, image.split) is not image.split:
            yield f"group {image.group}: image {image.id} is in {image.split.value}"
        if groups.setdefault(image.vehicle, image.group) != image.group:
            yield f"vehicle {image.vehicle} is in two groups: image {image.id} is in {image.group}"
