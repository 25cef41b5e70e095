"""What pages about the data ask of the database: small parts of large tables, never all of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from damageloop.domain.image import QuarantinedFile


class DataRepository(Protocol):
    """Reads only. Each answer costs what it returns, however many images there are."""

    def largest_image_id(self) -> int:
        """Return the highest number of an image, 0 without one: as many as there are, or a few more."""

    def largest_annotation_id(self) -> int:
        """Return the highest number of an annotation, 0 without one."""

    def images_of_annotations(self, annotation_ids: Sequence[int]) -> set[int]:
        """Return the images of those of these annotations that are not deleted."""

    def joined_groups(self, limit: int, after: str | None) -> list[str]:
        """Return names of groups that hold near-duplicates of several vehicles, in order, from behind `after`."""

    def quarantined(self, limit: int, after: int | None, code: str | None) -> list[tuple[int, QuarantinedFile]]:
        """Return refused files with their numbers, oldest first, from behind the number `after`."""

    def quarantine_counts(self) -> dict[str, int]:
        """Return how many files were refused, by code."""
