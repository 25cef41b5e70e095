"""Look whether served photos are still like the reference, and open an event where they are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.drift.columns import QUALITY_COLUMNS, ColumnKind, Comparison, observed, sample_of
from damageloop.domain.drift.event import DriftEvent, DriftReport, DriftState, JudgedColumn, Look, StepName
from damageloop.domain.drift.judge import judge
from damageloop.domain.drift.words import has_fallen, kind_of, sentence
from damageloop.domain.served_image import ServedImage
from damageloop.params import Params
from damageloop.ports import Clock, JobContext
from damageloop.ports.monitoring import DriftComparison
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.monitoring.drift_reference import ReadReference, Reference
from damageloop.services.monitoring.expected_performance import ExpectedPerformance

SCHEDULE = "the schedule"
ACTOR = "drift watch"
NO_CHAMPION = "No model serves yet, so there is nothing to watch."
# How many clauses an event's reason has at most; the report has them all.
MAX_CLAUSES = 3


@dataclass(frozen=True, slots=True)
class WatchDrift:
    """A job; each run adds a report.

    `compare` returns what compares two samples, loaded when it is needed; `expect` works out figures without labels.
    """

    units: UnitOfWorkFactory
    read_reference: ReadReference
    compare: Callable[[], DriftComparison]
    clock: Clock
    params: Params
    expect: ExpectedPerformance

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Look once; return the number and state of the report, and of the event that it opened or belongs to."""
        context.progress(0.1, "reading served photos")
        report = self.look(str(inputs.get("asked_by", SCHEDULE)))
        if report is None:
            return {"report": None, "words": [NO_CHAMPION]}
        return {"report": report.id, "state": report.state.value, "event": report.event_id, "words": list(report.words)}

    def look(self, asked_by: str = SCHEDULE) -> DriftReport | None:
        """Compare the newest served photos with the reference, store the report and return it.

        None while no model serves.

        Raises:
            NotFoundError: If the champion's release is missing.
        """
        with self.units(read_only=True) as work:
            champion = work.models.champion()
            if champion is None:
                return None
            version = champion.model_version
            reference = self.read_reference(work, version)
            window = self._window(work, version)
            events = work.drift.open_events()
            performance = self.expect(work, version, window)
        report = self._judged(version, asked_by, reference, window, events)
        return self._store(replace(report, performance=performance))

    def _window(self, work: UnitOfWork, version: int) -> list[ServedImage]:
        rules = self.params.drift
        # More than are needed: of one request only some count.
        newest = work.served_images.newest(version, rules.window_images * 4)
        seen: Counter[str] = Counter()
        kept: list[ServedImage] = []
        for served in reversed(newest):
            seen[served.request_id] += 1
            if seen[served.request_id] <= rules.max_per_request and len(kept) < rules.window_images:
                kept.append(served)
        return kept[::-1]

    def _judged(
        self,
        version: int,
        asked_by: str,
        reference: Reference,
        window: Sequence[ServedImage],
        events: Sequence[DriftEvent],
    ) -> DriftReport:
        look = _look(reference, window)
        report = DriftReport(0, version, DriftState.TOO_FEW, asked_by, self.clock.now(), look)
        lacking = self._lacking(look, reference.n_unscored)
        if lacking:
            return replace(report, words=(lacking,))
        classes = self.params.labels.classes
        before = sample_of(reference.observations, classes)
        after = sample_of([observed(one) for one in window], classes)
        was_beyond = {column for event in events for column in event.columns}
        columns = judge(self.compare()(before, after), self.params.drift.thresholds(), was_beyond)
        beyond = [column for column in columns if column.is_beyond]
        if not beyond:
            return replace(report, state=DriftState.ACCEPTABLE, columns=columns, words=(_like_before(look),))
        clauses = [column.words for column in by_importance(beyond)]
        return replace(report, state=DriftState.BEYOND, columns=columns, words=tuple(clauses))

    def _lacking(self, look: Look, n_unscored: int) -> str | None:
        rules = self.params.drift
        if look.n_reference < rules.min_reference_images:
            waiting = f", {n_unscored} more wait to be scored by the champion" if n_unscored else ""
            return (
                f"The reference has {look.n_reference} random photos, it needs {rules.min_reference_images}{waiting} "
                "(audit rounds and photos of val and test bring them)."
            )
        if look.n_window < rules.min_window_images:
            return (
                f"The champion has answered {look.n_window} photos that count, {rules.min_window_images} are needed "
                "(drift.min_window_images)."
            )
        return None

    def _store(self, report: DriftReport) -> DriftReport:
        with self.units() as work:
            events = work.drift.open_events()
            event = events[-1] if events else None
            stored = work.drift.add_report(replace(report, event_id=event.id if event else None))
            if events and not _is_of_another_kind(stored, events):
                for each in events:
                    _end_if_over(work, each, stored)
            elif stored.state is DriftState.BEYOND and (known := self._known_since(work, stored)):
                work.drift.set_event(stored.id, known.id)
                stored = replace(stored, event_id=known.id)
            elif stored.state is DriftState.BEYOND and not self._is_cooling(work):
                opened = work.drift.add_event(event_of(stored))
                work.drift.set_event(stored.id, opened.id)
                detail = {"reason": opened.reason}
                work.audit.add(ACTOR, "open_drift_event", f"event {opened.id}", detail, stored.created_at)
                stored = replace(stored, event_id=opened.id)
            work.commit()
        return stored

    def _known_since(self, work: UnitOfWork, report: DriftReport) -> DriftEvent | None:
        """Return the last event where it was answered by a model, and nothing has moved much further since.

        Photos that stay dark are still unlike the reference when a model has learned them; that is no news. A column
        is news again when it moved by as much as opens an event.
        """
        newest = work.drift.events(1)
        if not newest or newest[0].step(StepName.MEASURED_AGAIN) is None:
            return None
        answered = {c.comparison.column: c.comparison for c in work.drift.report(newest[0].report_id).columns}
        bands = self.params.drift.thresholds().bands
        for column in report.columns:
            now, then = column.comparison, answered.get(column.comparison.column)
            least = 0.5 if now.kind is ColumnKind.EMBEDDING else 0.0
            further = now.effect - (then.effect if then else least)
            if column.is_beyond and further >= bands[now.kind].beyond - least:
                return None
        return newest[0]

    def _is_cooling(self, work: UnitOfWork) -> bool:
        newest = work.drift.events(1)
        ended = newest[0].resolved_at if newest else None
        pause = timedelta(hours=self.params.drift.response.cooldown_hours)
        return ended is not None and self.clock.now() - ended < pause


def event_of(report: DriftReport) -> DriftEvent:
    """Return the event that a report beyond the thresholds opens, with its reason in words and its bounds."""
    beyond = by_importance([column for column in report.columns if column.is_beyond])
    kinds = [kind for column in beyond if (kind := kind_of(column.comparison))]
    return DriftEvent(
        id=0,
        model_version=report.model_version,
        reason=sentence(column.words for column in beyond[:MAX_CLAUSES]),
        opened_at=report.created_at,
        kinds=tuple(dict.fromkeys(kinds)),
        columns=tuple(column.comparison.column for column in beyond),
        bounds={
            column.comparison.column: _bounds(column.comparison)
            for column in beyond
            if column.comparison.column in QUALITY_COLUMNS
        },
        report_id=report.id,
    )


def by_importance(columns: Sequence[JudgedColumn]) -> list[JudgedColumn]:
    """Return columns, those of the photos themselves first, and of these the one that moved furthest first.

    What a model says follows from what the photos are: a dark photo explains a low confidence, not the reverse.
    """
    return sorted(columns, key=lambda c: (c.comparison.column not in QUALITY_COLUMNS, -c.comparison.effect))


def _bounds(comparison: Comparison) -> tuple[float | None, float | None]:
    if has_fallen(comparison):
        return comparison.reference.get("p01"), None
    return None, comparison.reference.get("p99")


def _is_of_another_kind(report: DriftReport, events: Sequence[DriftEvent]) -> bool:
    """Tell whether the photos themselves changed in a way that no open event is about: that is an event of its own."""
    known = {column for event in events for column in event.columns}
    changed = {column.comparison.column for column in report.columns if column.is_beyond} & set(QUALITY_COLUMNS)
    return bool(changed - known) and not changed & known


def _end_if_over(work: UnitOfWork, event: DriftEvent, report: DriftReport) -> None:
    """End an event whose photos are like the reference again, before anything had to be promoted for it."""
    is_same_model = report.model_version == event.model_version
    if report.state is DriftState.ACCEPTABLE and is_same_model:
        work.drift.resolve(event.id, "The photos are like the reference again.", report.created_at)


def _look(reference: Reference, window: Sequence[ServedImage]) -> Look:
    moments: list[datetime] = [served.answered_at for served in window]
    return Look(
        reference=reference.kind,
        n_reference=len(reference.observations),
        n_window=len(window),
        n_requests=len({served.request_id for served in window}),
        first_at=min(moments, default=None),
        last_at=max(moments, default=None),
    )


def _like_before(look: Look) -> str:
    return f"The newest {look.n_window} served photos are like the {look.n_reference} of the reference."
