"""Act on an open drift event, one step at a time: each is written down when it is done, and done once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from damageloop.domain.drift.augmentation import fitting
from damageloop.domain.drift.event import DriftEvent, DriftReport, DriftState, Look, Step, StepName
from damageloop.domain.drift.response import DueStep, ResponseFacts, due_step
from damageloop.domain.job import JobKind
from damageloop.domain.round import ItemState, RoundState
from damageloop.domain.trigger import TriggerKind, TriggerOrigin
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.triggers import Triggers
from damageloop.services.monitoring.affected_images import affected_images, first_of
from damageloop.services.monitoring.measure_again import MeasureAgain, in_words
from damageloop.services.rounds.ask_for_round import AskForRound
from damageloop.services.rounds.round_pool import daily_budget

logger = logging.getLogger(__name__)

# Fact: when somebody looked at the open events last, how long that took, and what they wait for.
RESPONDED = "drift.responded"
# Between two looks; more where a look takes long.
EVERY = timedelta(seconds=5)
PACE = 20.0
WHO = "drift watch"
_WAITING = frozenset({ItemState.PENDING, ItemState.SENT})


@dataclass(frozen=True, slots=True)
class RespondToDrift:
    """Safe to run twice: a step that was done and not written down is found by what it left behind.

    `write_params` changes parameters of the live params.yaml, by dotted name.
    """

    units: UnitOfWorkFactory
    triggers: Triggers
    ask_for_round: AskForRound
    measure: MeasureAgain
    write_params: Callable[[Mapping[str, Any]], None]
    clock: Clock
    params: Params

    def if_due(self) -> bool:
        """Take the next step of each open event if it is time to look; tell whether any was taken."""
        with self.units(read_only=True) as work:
            events = work.drift.open_events()
            looked = work.facts.get(RESPONDED) or {}
        if not events or not self.params.drift.response.enabled:
            return False
        pause = max(EVERY, timedelta(seconds=PACE * float(looked.get("seconds", 0.0))))
        if looked and self.clock.now() - datetime.fromisoformat(looked["at"]) < pause:
            return False
        began = perf_counter()
        found = [(event, self.due(event)) for event in events]
        self._note(found, perf_counter() - began)
        taken = [self._acted(event, due) for event, due in found]
        return any(taken)

    def _acted(self, event: DriftEvent, due: DueStep) -> bool:
        """Take the step that is due, or close an event that waited too long; tell whether a step was taken."""
        if due.is_over:
            self._close(event, f"Closed after {self.params.drift.response.max_days:g} days; what lacked: ", due)
        elif due.step is not None:
            self._take(event, due.step)
        return due.step is not None

    def due(self, event: DriftEvent) -> DueStep:
        """Return what is due about an event, and what is waited for, without acting on it."""
        with self.units(read_only=True) as work:
            return due_step(event, self._facts(work, event))

    def _facts(self, work: UnitOfWork, event: DriftEvent) -> ResponseFacts:
        rules, photos = self.params.drift.response, event.step(StepName.PHOTOS)
        round_id = _round_of(work, event)
        items = work.rounds.items(round_id) if round_id else []
        is_open = round_id is not None and work.rounds.get(round_id).state is not RoundState.CLOSED
        promoted = _promoted(work, event)
        return ResponseFacts(
            now=self.clock.now(),
            n_affected=len(affected_images(work, event)) if photos is None else 0,
            min_images=rules.min_images,
            round_stop=self._round_stop(work) if photos is None else None,
            round_id=round_id,
            n_waiting=sum(item.state in _WAITING for item in items) if is_open else 0,
            promoted=promoted.version if promoted else None,
            is_scored=promoted is not None and work.images.n_unscored(promoted.version) == 0,
            max_days=rules.max_days,
        )

    def _round_stop(self, work: UnitOfWork) -> str | None:
        budget = daily_budget(work, self.params, self.clock.now())
        if budget and not budget.left:
            return budget.in_words
        if any(job.kind is JobKind.OPEN_ROUND for job in work.jobs.active()):
            return "a round that is being opened"
        return None

    def _take(self, event: DriftEvent, step: StepName) -> None:
        act = {
            StepName.TRAINING: self._train_for_light,
            StepName.PHOTOS: self._ask_annotators,
            StepName.ROUND: self._note_round,
            StepName.LABELS: self._train_on_labels,
            StepName.PROMOTION: self._note_promotion,
            StepName.MEASURED_AGAIN: self._measure,
        }
        try:
            act[step](event)
        except ConflictError as exc:
            # The platform moved meanwhile: the next look sees that.
            logger.info("drift event %s: %s has to wait: %s", event.id, step.value, exc)

    def _train_for_light(self, event: DriftEvent) -> None:
        with self.units(read_only=True) as work:
            report = work.drift.report(event.report_id)
        drifted = [column.comparison for column in report.columns if column.is_beyond]
        augmentation = fitting(drifted) if self.params.drift.response.augmentation else None
        if augmentation is None:
            words = "No training yet: no change of light explains the drift, so it waits for labels."
            self._done(event, StepName.TRAINING, words)
            return
        before = self.params.training.photometric.model_dump(mode="json")
        self.write_params({"training.photometric": augmentation})
        wish = self.triggers.ask(
            TriggerKind.TRAINING, f"drift event {event.id}: light as in the new photos", WHO, TriggerOrigin.DRIFT
        )
        low, high = augmentation["stops"]
        words = (
            f"A training with changed light was asked for: half of the train images by {low:g} to {high:g} stops, "
            f"noise up to {augmentation['noise']:.1%} and blur up to {augmentation['blur_px']:g} px."
        )
        if wish.ended_at is not None:
            words = f"The light of train images was set, but no training was asked for: {wish.outcome}."
        self._done(
            event, StepName.TRAINING, words, {"photometric": augmentation, "before": before, "trigger_id": wish.id}
        )

    def _ask_annotators(self, event: DriftEvent) -> None:
        asked_by = f"{WHO}, event {event.id}"
        with self.units(read_only=True) as work:
            known = [j for j in work.jobs.all(200) if (j.inputs or {}).get("asked_by") == asked_by]
            affected = affected_images(work, event)
            promotion = work.models.champion()
            version = promotion.model_version if promotion else event.model_version
            predictions = work.predictions.of_version(version, [image.id for image in affected.train])
            chosen = first_of(affected, predictions, event, self.params.drift.response.images)
            budget = daily_budget(work, self.params, self.clock.now())
        if known:
            # Asked for by a process that died before it could say so.
            job, image_ids = known[0], list(known[0].inputs["image_ids"])
        else:
            image_ids = chosen[: budget.left] if budget else chosen
            job = self.ask_for_round(asked_by, image_ids=image_ids)
        words = f"{len(image_ids)} of {len(affected) or len(image_ids)} affected photos were put before annotators."
        self._done(event, StepName.PHOTOS, words, {"image_ids": image_ids, "job_id": job.id})

    def _note_round(self, event: DriftEvent) -> None:
        with self.units(read_only=True) as work:
            round_id = _round_of(work, event)
        self._done(event, StepName.ROUND, f"Round {round_id} holds them.", {"round_id": round_id})

    def _train_on_labels(self, event: DriftEvent) -> None:
        with self.units(read_only=True) as work:
            photos = event.step(StepName.PHOTOS)
            image_ids = list(photos.detail["image_ids"]) if photos else []
            n_labeled = len({annotation.image_id for annotation in work.annotations.live(image_ids)})
        wish = self.triggers.ask(
            TriggerKind.TRAINING, f"drift event {event.id}: {n_labeled} new labels", WHO, TriggerOrigin.DRIFT
        )
        words = f"{n_labeled} affected photos are labeled; a training on them was asked for."
        self._done(event, StepName.LABELS, words, {"n_labeled": n_labeled, "trigger_id": wish.id})

    def _note_promotion(self, event: DriftEvent) -> None:
        with self.units(read_only=True) as work:
            promoted = _promoted(work, event)
        if promoted is not None:
            self._done(event, StepName.PROMOTION, promoted.words, {"model_version": promoted.version})

    def _measure(self, event: DriftEvent) -> None:
        promotion = event.step(StepName.PROMOTION)
        version, now = int(promotion.detail["model_version"]) if promotion else event.model_version, self.clock.now()
        with self.units(read_only=True) as work:
            measured = self.measure(work, event, version)
            found = work.drift.report(event.report_id)
        words = in_words(measured)
        look = Look(found.look.reference, found.look.n_reference, measured["kept_photos"], 0, None, None)
        report = DriftReport(0, version, DriftState.BEYOND, WHO, now, look, (), (words,), measured, event.id)
        with self.units() as work:
            if work.drift.event(event.id).step(StepName.MEASURED_AGAIN) is None:
                stored = work.drift.add_report(report)
                step = Step(StepName.MEASURED_AGAIN, now, words, {**measured, "report_id": stored.id})
                work.drift.add_step(event.id, step)
                work.drift.resolve(event.id, f"Version {version} answers now. {words}", now)
                work.audit.add(WHO, "resolve_drift_event", f"event {event.id}", {"words": words}, now)
                work.commit()

    def _done(self, event: DriftEvent, name: StepName, words: str, detail: Mapping[str, Any] | None = None) -> None:
        now = self.clock.now()
        with self.units() as work:
            work.drift.add_step(event.id, Step(name, now, words, detail or {}))
            work.audit.add(WHO, f"drift_{name.value}", f"event {event.id}", {"words": words}, now)
            work.commit()

    def _note(self, found: Sequence[tuple[DriftEvent, DueStep]], seconds: float) -> None:
        waiting = [f"drift event {event.id} waits for {due.waiting_for}" for event, due in found if due.waiting_for]
        note = {"at": self.clock.now().isoformat(), "seconds": round(seconds, 2), "waiting_for": "; ".join(waiting)}
        with self.units() as work:
            work.facts.set(RESPONDED, note)
            work.commit()

    def _close(self, event: DriftEvent, words: str, due: DueStep) -> None:
        with self.units() as work:
            work.drift.resolve(event.id, f"{words}{due.waiting_for}.", self.clock.now())
            work.commit()


def waiting_words(work: UnitOfWork) -> str | None:
    """Return what an open event waits for, in words; None without one."""
    if not work.drift.open_events():
        return None
    words: str = (work.facts.get(RESPONDED) or {}).get("waiting_for", "")
    return words or None


def _round_of(work: UnitOfWork, event: DriftEvent) -> int | None:
    """Return the round that took the affected images up."""
    noted, photos = event.step(StepName.ROUND), event.step(StepName.PHOTOS)
    if noted is not None:
        return int(noted.detail["round_id"])
    if photos is None or not photos.detail["image_ids"]:
        return None
    wanted = set(photos.detail["image_ids"])
    for found in reversed(work.rounds.all()):
        if found.opened_at >= photos.at and wanted & {item.image_id for item in work.rounds.items(found.id)}:
            return found.id
    return None


@dataclass(frozen=True, slots=True)
class _Promoted:
    """The champion that an event led to, and what is to be said of it."""

    version: int
    words: str


def _promoted(work: UnitOfWork, event: DriftEvent) -> _Promoted | None:
    """Return the champion that was trained since the event, once a model that learned from the labels was judged.

    That model itself, or the one that was trained for the light, where the labels made none that is better.
    """
    noted, labels, promotion = event.step(StepName.PROMOTION), event.step(StepName.LABELS), work.models.champion()
    if noted is not None:
        return _Promoted(int(noted.detail["model_version"]), noted.words)
    if labels is None or promotion is None:
        return None
    champion = promotion.model_version
    trained_at = _trained_on(work, champion)
    if trained_at is not None and trained_at >= labels.at:
        return _Promoted(champion, f"Version {champion}, which learned from these labels, became champion.")
    if champion == event.model_version or trained_at is None or trained_at < event.opened_at:
        return None
    for decision in reversed(work.models.decisions()):
        challenger_at = _trained_on(work, decision.challenger)
        if challenger_at is not None and challenger_at >= labels.at:
            words = (
                f"Version {champion}, trained for the light of the new photos, is champion; version "
                f"{decision.challenger}, which learned from these labels, did not prove better."
            )
            return _Promoted(champion, words)
    return None


def _trained_on(work: UnitOfWork, version: int) -> datetime | None:
    """Return when the snapshot was made that a version was trained on; None where it was trained on none."""
    snapshot_id = work.models.get(version).snapshot_id
    return work.snapshots.get(snapshot_id).created_at if snapshot_id is not None else None
