"""What people ask about drift: where it stands, its reports and events; asking for a look, and for a new reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from damageloop.domain.drift.event import DriftEvent, DriftReport
from damageloop.domain.job import Job, JobKind, JobRequest
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.browse import Page
from damageloop.services.loop.ledger import Ledger
from damageloop.services.monitoring.drift_reference import RANDOM, REFERENCE, SERVED

FLIGHT = JobKind.CHECK_DRIFT.value


@dataclass(frozen=True, slots=True)
class ReferenceChoice:
    """What served photos are compared with. `confirmed_by` and `confirmed_at` are None of the random photos."""

    kind: str
    n_images: int | None = None
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DriftOverview:
    """Where it stands.

    Attributes:
        is_enabled: A worker looks by itself.
        champion: None while no model serves.
        n_served: Photos that the champion has answered.
        report: The newest one about the champion.
        event: The open one.
    """

    is_enabled: bool
    every_minutes: float
    champion: int | None
    n_served: int
    reference: ReferenceChoice
    report: DriftReport | None
    event: DriftEvent | None


@dataclass(frozen=True, slots=True)
class DriftStatus:
    """Reads, but for `check` and `confirm_reference`. `params` returns those of the moment."""

    units: UnitOfWorkFactory
    ledger: Ledger
    clock: Clock
    params: Callable[[], Params]

    def __call__(self) -> DriftOverview:
        """Return where it stands."""
        rules = self.params().drift
        with self.units(read_only=True) as work:
            promotion = work.models.champion()
            version = promotion.model_version if promotion else None
            confirmed = work.facts.get(REFERENCE) or {}
            reference = ReferenceChoice(RANDOM)
            if version is not None and confirmed.get("model_version") == version:
                at = datetime.fromisoformat(confirmed["confirmed_at"])
                reference = ReferenceChoice(SERVED, confirmed["n_images"], confirmed["confirmed_by"], at)
            events = work.drift.open_events()
            return DriftOverview(
                is_enabled=rules.enabled,
                every_minutes=rules.every_minutes,
                champion=version,
                n_served=work.served_images.count(version) if version is not None else 0,
                reference=reference,
                report=work.drift.newest_report(version) if version is not None else None,
                event=events[-1] if events else None,
            )

    def check(self, asked_by: str) -> Job:
        """Ask for a look now; one that is under way is answered again.

        Raises:
            ConflictError: While no model serves.
        """
        now = self.clock.now()
        with self.units() as work:
            if work.models.champion() is None:
                raise ConflictError("No model serves yet, so there is nothing to look at.")
            key = f"{FLIGHT}:asked:{now:%Y%m%dT%H%M%S}"
            request = JobRequest(JobKind.CHECK_DRIFT, key, {"asked_by": asked_by}, FLIGHT)
            job = self.ledger.request_within(work, request)
            work.commit()
        return job

    def confirm_reference(self, n_images: int, asked_by: str) -> ReferenceChoice:
        """Take the first photos that the champion answered for the reference from now on.

        Whoever confirms them says that they are what photos should be: they are compared with nothing any more.

        Raises:
            ConflictError: If no model serves, an event is open, or too few photos were answered.
        """
        rules, now = self.params().drift, self.clock.now()
        with self.units() as work:
            promotion = work.models.champion()
            if promotion is None:
                raise ConflictError("No model serves yet, so no photo was answered.")
            if work.drift.open_events():
                raise ConflictError("A drift event is open: photos of a time of drift are no reference.")
            n_served = len(work.served_images.first(promotion.model_version, n_images))
            if n_served < max(n_images, rules.min_reference_images):
                raise ConflictError(
                    f"Version {promotion.model_version} has answered {n_served} different photos; "
                    f"{max(n_images, rules.min_reference_images)} are needed."
                )
            chosen = {
                "model_version": promotion.model_version,
                "n_images": n_images,
                "confirmed_by": asked_by,
                "confirmed_at": now.isoformat(),
            }
            work.facts.set(REFERENCE, chosen)
            work.audit.add(asked_by, "confirm_drift_reference", f"version {promotion.model_version}", chosen, now)
            work.commit()
        return ReferenceChoice(SERVED, n_images, asked_by, now)

    def use_random_reference(self, asked_by: str) -> ReferenceChoice:
        """Go back to random images of the pool."""
        with self.units() as work:
            work.facts.set(REFERENCE, None)
            work.audit.add(asked_by, "use_random_drift_reference", "drift", {}, self.clock.now())
            work.commit()
        return ReferenceChoice(RANDOM)

    def reports(self, limit: int, before: int | None) -> Page[DriftReport]:
        """Return reports, newest first: `before` is the id of the last one seen."""
        with self.units(read_only=True) as work:
            found = work.drift.reports(limit + 1, before)
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    def report(self, report_id: int) -> DriftReport:
        """Return a report. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            return work.drift.report(report_id)

    def events(self, limit: int, before: int | None) -> Page[DriftEvent]:
        """Return events, newest first: `before` is the id of the last one seen."""
        with self.units(read_only=True) as work:
            found = work.drift.events(limit + 1, before)
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    def event(self, event_id: int) -> DriftEvent:
        """Return an event. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            return work.drift.event(event_id)
