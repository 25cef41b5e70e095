"""When kept production photos are taken in, and when the watch over drift looks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from damageloop.domain.job import JobKind, JobRequest
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.monitoring.respond_to_drift import waiting_words


@dataclass(frozen=True, slots=True)
class WatchState:
    """What of production the plan depends on.

    Attributes:
        newest_kept: Names the newest kept photo that waits to be taken in; None where none does.
        slot: Number of the present interval between two looks; None while none is due.
        event_words: What an open drift event waits for.
    """

    newest_kept: str | None = None
    slot: int | None = None
    event_words: str | None = None


def plan_watching(state: WatchState) -> list[JobRequest]:
    """Return what is due. The interval is in the key of a look: one that ended badly is tried with the next one."""
    jobs = []
    if state.newest_kept is not None:
        kind = JobKind.TAKE_IN_PRODUCTION
        jobs.append(JobRequest(kind, f"{kind}:{state.newest_kept}", flight=kind.value))
    if state.slot is not None:
        kind = JobKind.CHECK_DRIFT
        jobs.append(JobRequest(kind, f"{kind}:{state.slot}", flight=kind.value))
    return jobs


def read_watch(work: UnitOfWork, params: Params, champion: int | None, now: datetime) -> WatchState:
    """Return the state as the database has it; most of the time two small queries."""
    waiting = work.production_photos.newest_waiting()
    key = f"{waiting.request_id}-{waiting.position}" if waiting else None
    words = waiting_words(work)
    if champion is None or not params.drift.enabled:
        return WatchState(key, event_words=words)
    return WatchState(key, _slot(work, params, champion, now), words)


def _slot(work: UnitOfWork, params: Params, champion: int, now: datetime) -> int | None:
    """Return the number of the interval when a look is due: photos came since the last one, which is old enough."""
    served_at = work.served_images.newest_at(champion)
    report = work.drift.newest_report(champion)
    if served_at is None:
        return None
    every = timedelta(minutes=params.drift.every_minutes)
    if report is not None and (now - report.created_at < every or served_at <= report.created_at):
        return None
    return int(now.timestamp() // every.total_seconds())
