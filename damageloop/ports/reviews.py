"""Repositories of what humans said, and of the events that tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.annotation import Annotation


class AnnotationRepository(Protocol):
    """What humans said; nothing is ever removed, only marked."""

    def upsert(self, annotation: Annotation) -> bool:
        """Store what the source says now; True when the content is new or differs."""

    def by_external_id(self, source: str, external_id: str) -> Annotation | None: ...
    def tombstone(self, source: str, external_ids: Iterable[str]) -> int:
        """Mark annotations as deleted by their source; return how many were not so before."""

    def external_ids(self, source: str) -> set[str]:
        """Return the ids that are not tombstones."""

    def all(self, source: str | None = None) -> list[Annotation]: ...
    def of_images(self, image_ids: Sequence[int]) -> list[Annotation]:
        """Return the annotations of these images that are not tombstones, oldest first."""

    def resolved(self) -> dict[int, Annotation]:
        """Return the annotation that counts for each image: the latest that is not a tombstone, by image id."""

    def changed_in_train(self, since_sequence: int) -> int:
        """Return how many train images have an annotation whose change sequence is above this."""

    def sequence(self) -> int:
        """Return the highest change sequence."""

    def deleted_since(self, since_sequence: int) -> int: ...


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """An event as it came from the annotation tool."""

    id: int
    action: str
    payload: dict[str, Any]
    received_at: datetime


class InboxRepository(Protocol):
    """Events of the annotation tool, until they are processed."""

    def add(self, action: str, payload: dict[str, Any], now: datetime) -> int: ...
    def unprocessed(self, limit: int = 500) -> list[InboxEvent]: ...
    def mark_processed(self, event_ids: Sequence[int], now: datetime) -> None: ...
