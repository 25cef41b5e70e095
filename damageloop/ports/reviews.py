"""Repositories of what humans said, and of the events that tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.annotation import Annotation, Verdict
from damageloop.domain.labels import FormerNames
from damageloop.domain.split import Split


class AnnotationRepository(Protocol):
    """What humans said; nothing is ever removed, only marked."""

    def upsert(self, annotation: Annotation, known_to: int | None = None) -> bool:
        """Store what the source says now; True when the content is new or differs.

        What the source dates before the stored state is left out, unless it was asked after that state was stored:
        `known_to` is the number of the newest change at that time. Its clock may have been set back since.
        A number that now is another image's was given anew: what it stood for stays, as a tombstone of another number.
        """

    def by_external_id(self, source: str, external_id: str) -> Annotation | None: ...
    def tombstone(self, source: str, external_ids: Iterable[str]) -> int:
        """Mark annotations as deleted by their source; return how many were not so before."""

    def external_ids(self, source: str) -> set[str]:
        """Return the ids that are not tombstones."""

    def all(self, source: str | None = None) -> list[Annotation]: ...
    def of_images(self, image_ids: Sequence[int]) -> list[Annotation]:
        """Return the annotations of these images that are not tombstones, oldest first."""

    def live(self, image_ids: Sequence[int] | None = None) -> list[Annotation]:
        """Return the annotations that are not tombstones, of these images or of all, oldest first.

        `resolve_annotations` says which of an image's annotations counts.
        """

    def by_external_ids(self, source: str, external_ids: Sequence[str]) -> dict[str, Annotation]:
        """Return those of the source's annotations that are known, tombstones too, by external id."""

    def answered_tasks(self, task_ids: Sequence[int]) -> set[int]:
        """Return those of the annotation tool's tasks in which somebody has worked, skips included."""

    def labeled_since(self, since_sequence: int) -> list[int]:
        """Return the images that were labeled in the annotation tool by a change above this, in ascending order."""

    def labeled_images(self, split: Split) -> list[int]:
        """Return the active images of a split that somebody called damaged or clean, in ascending order."""

    def n_images(self) -> int:
        """Return how many images have an annotation that is no tombstone."""

    def n_undisputed(self) -> int:
        """Return how many active images have one live annotation alone, and that labels them."""

    def undisputed_kinds(self) -> set[tuple[Split, Verdict]]:
        """Return which split has an active image with exactly one annotation of which verdict, labeled ones only."""

    def disputed_images(self) -> set[int]:
        """Return the images that have several annotations."""

    def changed_in_train(self, since_sequence: int) -> int:
        """Return how many train images have an annotation whose change sequence is above this."""

    def changed_images(self, since_sequence: int) -> set[int]:
        """Return the images that have an annotation, tombstones too, whose change sequence is above this."""

    def relabel(self, former: FormerNames) -> list[int]:
        """Name all boxes as their classes are called now; return the images whose annotations changed, ascending."""

    def sequence(self) -> int:
        """Return the highest change sequence."""

    def changed_at(self) -> datetime | None:
        """Return when the newest change was taken in, by our clock; None before the first."""

    def deleted_since(self, since_sequence: int) -> int:
        """Return how many became tombstones after this change sequence, those of forgotten images left out."""

    def forget(self, image_ids: Sequence[int]) -> None:
        """Make the annotations of at most a few hundred images tombstones without boxes."""

    def forgotten_ids(self, source: str) -> set[str]:
        """Return the ids of annotations of forgotten images."""


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
    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most so many events processed before the moment; return how many, or only count all of them."""

    def mark_processed(self, event_ids: Sequence[int], now: datetime) -> None: ...
