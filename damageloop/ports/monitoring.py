"""What is remembered of production, and who compares two samples of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from damageloop.domain.drift.columns import Comparison, Sample
from damageloop.domain.drift.event import DriftEvent, DriftReport, Step
from damageloop.domain.production_photo import ProductionPhoto
from damageloop.domain.served_image import ServedImage


class ServedImageRepository(Protocol):
    """Numbers of served photos, in the order of being served."""

    def add_many(self, served: Sequence[ServedImage]) -> None:
        """Remember photos; one that is remembered already stays as it is."""

    def newest(self, model_version: int, limit: int, since: datetime | None = None) -> list[ServedImage]:
        """Return the newest photos that somebody with a key sent, at most so many, oldest first.

        A file that was sent several times counts once, where it came last.
        """

    def first(self, model_version: int, limit: int) -> list[ServedImage]:
        """Return the first photos that this version answered likewise; each file where it came first."""

    def of_requests(self, request_ids: Sequence[str]) -> list[ServedImage]: ...
    def count(self, model_version: int | None = None) -> int: ...
    def newest_at(self, model_version: int) -> datetime | None:
        """Return when somebody with a key was answered by this version last."""

    def n_since(self, moment: datetime) -> int:
        """Return how many photos were answered since then."""

    def latencies_ms(self, since: datetime, limit: int) -> list[float]:
        """Return what the newest photos since then took, at most so many."""

    def outcomes_by_version(self) -> Mapping[int, Mapping[str, int]]:
        """Return how often each version gave each outcome."""

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most so many from before the moment; return how many, or only count all of them."""


class ProductionPhotoRepository(Protocol):
    """Served photos that are kept for the pool."""

    def add(self, photo: ProductionPhoto) -> None:
        """Remember a kept photo; one of the same request and place stays as it is."""

    def waiting(self, limit: int) -> list[ProductionPhoto]:
        """Return those that nobody took in yet, oldest first."""

    def newest_waiting(self) -> ProductionPhoto | None: ...
    def n_waiting(self) -> int: ...
    def is_waiting(self, request_id: str) -> bool:
        """Tell whether photos of a request are still on their way into the pool."""

    def n_kept_since(self, moment: datetime) -> int: ...
    def taken_in(self, photo: ProductionPhoto, image_id: int | None, error: str | None, now: datetime) -> None:
        """Write down which image it is, or why it is none."""

    def images_of(self, request_ids: Sequence[str]) -> dict[tuple[str, int], int]:
        """Return the image of each photo of these requests that is one, by request and place."""

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most so many that were taken in before the moment, or only count all of them."""


class DriftRepository(Protocol):
    """Reports and events of drift."""

    def add_report(self, report: DriftReport) -> DriftReport:
        """Store a report under a new number and return it with that."""

    def report(self, report_id: int) -> DriftReport:
        """Return a report. Raises NotFoundError."""

    def newest_report(self, model_version: int | None = None) -> DriftReport | None: ...
    def reports(self, limit: int, before: int | None = None) -> list[DriftReport]:
        """Return reports, newest first, at most so many, whose number is below `before`."""

    def set_event(self, report_id: int, event_id: int) -> None:
        """Write down which event a report opened."""

    def add_event(self, event: DriftEvent) -> DriftEvent:
        """Store an event under a new number and return it with that."""

    def event(self, event_id: int) -> DriftEvent:
        """Return an event. Raises NotFoundError."""

    def open_events(self) -> list[DriftEvent]: ...
    def events(self, limit: int, before: int | None = None) -> list[DriftEvent]:
        """Return events, newest first."""

    def add_step(self, event_id: int, step: Step) -> DriftEvent:
        """Write down a step; one of the same name again replaces nothing and changes nothing."""

    def resolve(self, event_id: int, outcome: str, now: datetime) -> DriftEvent: ...


class DriftComparison(Protocol):
    """Compares two samples column by column."""

    def __call__(self, reference: Sample, window: Sample) -> tuple[Comparison, ...]:
        """Return one comparison for each column that both have enough values of."""


class ProductionStore(Protocol):
    """Bytes of kept photos until they are in the pool."""

    def put(self, request_id: str, position: int, content: bytes) -> str:
        """Keep a photo and return where; doing it twice changes nothing."""

    def read(self, store_key: str) -> bytes:
        """Return the photo's bytes. Raises NotFoundError, UnavailableError."""

    def remove(self, store_key: str) -> None:
        """Remove the photo; safe to repeat."""
