"""Remove what is of no more use after the days that params.yaml gives it, in portions and once a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.forget import Forget

AT_ONCE = 500
# What one call removes of each kind at most: the next day goes on.
MOST = 20_000
MOST_IMAGES = 1_000
ACTOR = "retention"

# Of a unit, the moment before which things go, how many at most, and whether they are only counted.
Expire = Callable[[UnitOfWork, datetime, int, bool], int]


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """How many rows went, or would go. `images` are those that were forgotten."""

    evidence: int
    inbox: int
    jobs: int
    images: int
    valuations: int = 0
    idempotent_requests: int = 0
    batches: int = 0
    served_images: int = 0
    production_photos: int = 0


@dataclass(frozen=True, slots=True)
class ApplyRetention:
    """Applies section `retention`; doing it twice changes nothing more.

    Attributes:
        expire_batches: Removes at most so many batches that came before a moment, with their photos, and returns how
            many; None where there are none.
    """

    units: UnitOfWorkFactory
    forget: Forget
    clock: Clock
    params: Params
    expire_batches: Callable[[datetime, int], int] | None = None

    def __call__(self, is_dry_run: bool = False) -> RetentionReport:
        """Remove what is older than its days, and write down how much."""
        days = self.params.retention
        report = RetentionReport(
            evidence=self._expired(_days(days.evidence_days), _expire_evidence, is_dry_run),
            inbox=self._expired(_days(days.inbox_days), _expire_inbox, is_dry_run),
            jobs=self._expired(_days(days.jobs_days), _expire_jobs, is_dry_run),
            images=self._forgotten(days.unlabeled_days, is_dry_run),
            valuations=self._expired(_days(days.evidence_days), _expire_valuations, is_dry_run),
            idempotent_requests=self._expired(_hours(days.idempotency_hours), _expire_idempotency, is_dry_run),
            served_images=self._expired(_days(days.served_days), _expire_served, is_dry_run),
            production_photos=self._expired(_days(days.served_days), _expire_production, is_dry_run),
            batches=self._batches(_days(days.batches_days), is_dry_run),
        )
        counts = asdict(report)
        if not is_dry_run and any(counts.values()):
            with self.units() as work:
                work.audit.add(ACTOR, "retention", "all", {"removed": counts}, self.clock.now())
                work.commit()
        return report

    def _expired(self, age: timedelta | None, expire: Expire, is_dry_run: bool) -> int:
        if age is None:
            return 0
        before = self.clock.now() - age
        if is_dry_run:
            with self.units(read_only=True) as work:
                return expire(work, before, MOST, True)
        total = 0
        while total < MOST:
            with self.units() as work:
                gone = expire(work, before, AT_ONCE, False)
                work.commit()
            total += gone
            if gone < AT_ONCE:
                break
        return total

    def _batches(self, age: timedelta | None, is_dry_run: bool) -> int:
        if age is None or self.expire_batches is None:
            return 0
        before = self.clock.now() - age
        if is_dry_run:
            with self.units(read_only=True) as work:
                return len(work.batches.over_before(before, MOST))
        return self.expire_batches(before, MOST)

    def _forgotten(self, days: int | None, is_dry_run: bool) -> int:
        if days is None:
            return 0
        with self.units(read_only=True) as work:
            due = work.images.unlabeled_before(self.clock.now() - timedelta(days=days), MOST_IMAGES)
        if due and not is_dry_run:
            reason = f"Nobody annotated it within {days} days (retention.unlabeled_days)."
            self.forget(reason, ACTOR, image_ids=due)
        return len(due)


def _days(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _hours(hours: int | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _expire_valuations(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.valuations.expire(before, limit, is_dry_run)


def _expire_idempotency(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.idempotency.expire(before, limit, is_dry_run)


def _expire_served(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.served_images.expire(before, limit, is_dry_run)


def _expire_production(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.production_photos.expire(before, limit, is_dry_run)


def _expire_evidence(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.evidence.expire(before, limit, is_dry_run)


def _expire_inbox(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.inbox.expire(before, limit, is_dry_run)


def _expire_jobs(work: UnitOfWork, before: datetime, limit: int, is_dry_run: bool) -> int:
    return work.jobs.expire(before, limit, is_dry_run)
