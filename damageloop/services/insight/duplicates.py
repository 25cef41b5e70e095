"""Near-duplicates that joined vehicles: which photos belong together, and which left the data for it."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.domain.image import Image, ImageStatus
from damageloop.ports.persistence import UnitOfWorkFactory

# A group may be a whole fleet before one wall; more than a few tell nobody more.
MOST_SHOWN = 24


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Photos that count as one car.

    Attributes:
        images: The first of `n_images`, those that were left out of snapshots before the others.
        n_excluded: Left out, because their near-duplicates are in a higher split.
    """

    name: str
    images: tuple[Image, ...]
    n_images: int
    n_excluded: int
    vehicles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DuplicatePage:
    """Part of the groups, by name; `next_after` is the last name where there are more."""

    items: tuple[DuplicateGroup, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Lists groups that near-duplicates joined."""

    units: UnitOfWorkFactory

    def page(self, limit: int, after: str | None) -> DuplicatePage:
        """Return groups of several vehicles, in the order of their names."""
        with self.units(read_only=True) as work:
            names = work.data.joined_groups(limit + 1, after)
            images = work.images.of_groups(names[:limit])
        groups: dict[str, list[Image]] = {name: [] for name in names[:limit]}
        for image in images:
            groups[image.group].append(image)
        items = tuple(_group(name, members) for name, members in groups.items())
        return DuplicatePage(items, names[limit - 1] if len(names) > limit else None)


def _group(name: str, images: list[Image]) -> DuplicateGroup:
    excluded = [image for image in images if image.status is ImageStatus.EXCLUDED_LEAK]
    others = [image for image in images if image.status is not ImageStatus.EXCLUDED_LEAK]
    shown = tuple([*excluded, *others][:MOST_SHOWN])
    vehicles = tuple(sorted({image.vehicle for image in images}))
    return DuplicateGroup(name, shown, len(images), len(excluded), vehicles[:MOST_SHOWN])
