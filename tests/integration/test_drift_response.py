"""The response to drift in the whole loop: from an open event to its end, whoever dies on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damageloop.domain.drift.columns import ColumnKind, Comparison
from damageloop.domain.drift.event import DriftEvent, DriftReport, DriftState, JudgedColumn, Look, StepName
from damageloop.domain.image import ImageQuality, Origin
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.round import Share
from damageloop.domain.split import Split
from damageloop.domain.trigger import TriggerKind, TriggerOrigin
from damageloop.params import Params
from damageloop.ports import Detector, RgbImage
from damageloop.services.loop.triggers import Triggers
from damageloop.services.monitoring.measure_again import MeasureAgain
from damageloop.services.monitoring.respond_to_drift import RespondToDrift
from damageloop.services.rounds.ask_for_round import AskForRound
from tests.fakes.photos import make_stored
from tests.integration.loop_world import PARAMS, SPLITS, LoopWorld, VersionDetector, new_world

RESPONSE = PARAMS.drift.response.model_copy(update={"images": 12, "min_images": 6})
WITH_RESPONSE = PARAMS.model_copy(update={"drift": PARAMS.drift.model_copy(update={"response": RESPONSE})})
# The next number: images and what is on them go by the same one.
FIRST_DARK = sum(SPLITS.values()) + 1
DARK = Comparison(
    "brightness", ColumnKind.NUMERIC, 2.5, 0.0, {"mean": 120.0, "p01": 80.0, "p99": 170.0}, {"mean": 50.0}
)


@dataclass
class NightBlind(VersionDetector):
    """Sees nothing on dark photos, which come after the first pool."""

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        if int(image[0, 0, 0]) < FIRST_DARK:
            return super().detect(image, size_wh)
        return DetectorAnswer((), np.zeros(4, dtype=np.float32), 0.02)


@dataclass
class DriftWorld:
    loop: LoopWorld
    written: dict[str, Any] = field(default_factory=dict)

    def blind(self, n_versions: int) -> None:
        """Let the first versions see nothing in the dark; whatever is trained later learned it."""
        sighted = self.loop.load_detector

        def load(version: int) -> Detector:
            found = sighted(version)
            return NightBlind(found.manifest) if version <= n_versions else found

        self.loop.load_detector = load  # type: ignore[method-assign]

    @property
    def responder(self) -> RespondToDrift:
        loop = self.loop
        clock = loop.outside.clock
        return RespondToDrift(
            loop.units,
            Triggers(loop.units, clock, loop.params, lambda: None),
            AskForRound(loop.units, loop.ledger, clock, loop.params),
            MeasureAgain(loop.outside.releases, loop.params),
            self._write,
            clock,
            loop.params,
        )

    def _write(self, values: Mapping[str, Any]) -> None:
        self.written.update(values)
        light = type(self.loop.params.training.photometric).model_validate(values["training.photometric"])
        training = self.loop.params.training.model_copy(update={"photometric": light})
        self.loop.params = self.loop.params.model_copy(update={"training": training})

    def add_dark_images(self, n_by_split: Mapping[Split, int], first: int = FIRST_DARK) -> list[int]:
        quality = ImageQuality(50.0, 20.0, 30.0, 3.0)
        found, number = [], first
        with self.loop.units() as work:
            for split, count in n_by_split.items():
                for _ in range(count):
                    stored = replace(make_stored(number), quality=quality)
                    name = f"dark-{number}"
                    image = work.images.add(stored, f"{name}.jpg", name, split, Origin.PRODUCTION)
                    found.append(image.id)
                    number += 1
            work.commit()
        return found

    def open_event(self) -> DriftEvent:
        now, champion = self.loop.outside.clock.now(), self.loop.champion()
        assert champion is not None
        column = JudgedColumn(DARK, 0.0, True, "brightness fell from 120 to 50")
        look = Look("random", 150, 200, 90, now, now)
        report = DriftReport(0, champion, DriftState.BEYOND, "the schedule", now, look, (column,))
        with self.loop.units() as work:
            stored = work.drift.add_report(report)
            event = work.drift.add_event(
                DriftEvent(
                    0,
                    champion,
                    "Brightness fell.",
                    now,
                    ("dark",),
                    ("brightness",),
                    {"brightness": (80.0, None)},
                    stored.id,
                )
            )
            work.commit()
        return event

    def respond(self) -> bool:
        self.loop.outside.clock.advance(seconds=6)
        return self.responder.if_due()

    def event(self, event_id: int) -> DriftEvent:
        with self.loop.units(read_only=True) as work:
            return work.drift.event(event_id)

    def go_on(self, event_id: int, until: StepName | None = None, turns: int = 30) -> DriftEvent:
        """Respond, turn the loop and annotate until a step is done, or the event is resolved."""
        for _ in range(turns):
            event = self.event(event_id)
            if event.resolved_at or (until and event.step(until)):
                return event
            self.respond()
            self.loop.settle()
            self.loop.annotate()
        raise AssertionError(f"the event does not come to {until or 'its end'}: {self.event(event_id)}")


def with_champion(loop: LoopWorld) -> None:
    for _ in range(8):
        loop.settle()
        if loop.champion() is not None:
            return
        loop.annotate()
    raise AssertionError("no champion")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DriftWorld]:
    with new_world(tmp_path, WITH_RESPONSE) as loop:
        with_champion(loop)
        yield DriftWorld(loop)


@pytest.mark.parametrize("n_blind_challengers", [0, 1])
def test_from_an_event_to_its_end(world: DriftWorld, n_blind_challengers: int) -> None:
    champion_then = world.loop.champion()
    assert champion_then is not None
    world.blind(champion_then + n_blind_challengers)
    dark = world.add_dark_images({Split.TRAIN: 12, Split.TEST: 6, Split.VAL: 2})
    event = world.open_event()
    world.loop.outside.clock.advance(seconds=60)
    ended = world.go_on(event.id)
    assert [step.name for step in ended.steps] == list(StepName)
    # New parameters, so it is another training.
    assert world.written["training.photometric"]["stops"][0] < -1.0
    photos = ended.step(StepName.PHOTOS)
    assert photos is not None
    image_ids = photos.detail["image_ids"]
    assert len(image_ids) == 12
    assert set(image_ids) <= set(dark)
    held_round = ended.step(StepName.ROUND)
    assert held_round is not None
    items = {item.image_id: item for item in world.loop.items(held_round.detail["round_id"])}
    assert set(items) == set(image_ids)
    # Held-out ones are judged without pre-labels, and no estimate counts them.
    with world.loop.units(read_only=True) as work:
        images = {image.id: image for image in work.images.get_many(image_ids)}
        wishes = [t for t in work.triggers.all() if t.origin is TriggerOrigin.DRIFT]
        champion = work.models.champion()
        reports = work.drift.reports(10)
    assert {items[i].share for i in image_ids if images[i].split is not Split.TRAIN} == {Share.AUDITED}
    assert {items[i].probability for i in image_ids} == {None}
    assert [wish.kind for wish in wishes] == [TriggerKind.TRAINING] * 2
    assert champion is not None
    promotion = ended.step(StepName.PROMOTION)
    assert promotion is not None
    assert event.model_version < promotion.detail["model_version"] <= champion.model_version
    measured = ended.step(StepName.MEASURED_AGAIN)
    assert measured is not None
    assert measured.detail["labeled_photos"] >= 5
    assert measured.detail["before"]["model_version"] == str(event.model_version)
    assert measured.detail["before"]["recall"] == 0.0
    assert measured.detail["after"]["recall"] == 1.0
    assert reports[0].performance["after"] == measured.detail["after"]
    assert ended.outcome is not None
    assert ended.outcome.startswith(f"Version {promotion.detail['model_version']} answers now.")
    assert not world.respond()


def test_without_affected_photos_the_response_waits_and_says_for_what(world: DriftWorld) -> None:
    event = world.open_event()
    assert world.respond()
    assert not world.respond()
    with world.loop.units(read_only=True) as work:
        state = world.loop.advance().state(work)
    assert state.watch.event_words is not None
    assert "6 more affected photos in the pool" in state.watch.event_words
    assert any("drift event" in words for words in world.loop.advance().plan().waiting_for)
    world.loop.outside.clock.moment += timedelta(days=31)
    assert not world.respond()
    ended = world.event(event.id)
    assert ended.outcome is not None
    assert "Closed after 30 days; what lacked: 6 more affected photos" in ended.outcome


def test_a_process_that_dies_after_a_step_s_work_does_it_no_second_time(world: DriftWorld) -> None:
    world.add_dark_images({Split.TRAIN: 12, Split.TEST: 6})
    event = world.open_event()
    world.go_on(event.id, StepName.TRAINING)
    # As if the process had died between the request of the round and the note of the step.
    world.responder._ask_annotators(event)
    asked = world.event(event.id).step(StepName.PHOTOS)
    assert asked is not None
    with world.loop.units() as work:
        from sqlalchemy import text

        work._session.execute(text("UPDATE drift_events SET steps = '[]'"))  # type: ignore[attr-defined]
        work.commit()
    world.responder._ask_annotators(world.event(event.id))
    again = world.event(event.id).step(StepName.PHOTOS)
    assert again is not None
    assert again.detail == asked.detail
    world.loop.settle()
    with world.loop.units(read_only=True) as work:
        rounds = [
            r
            for r in work.rounds.all()
            if set(asked.detail["image_ids"]) <= {item.image_id for item in work.rounds.items(r.id)}
        ]
        wishes = [t for t in work.triggers.all() if t.origin is TriggerOrigin.DRIFT]
    assert len(rounds) == 1
    assert len(wishes) == 1


def test_nothing_is_done_where_the_response_is_off(world: DriftWorld) -> None:
    world.add_dark_images({Split.TRAIN: 12})
    event = world.open_event()
    off = world.loop.params.drift.response.model_copy(update={"enabled": False})
    drift = world.loop.params.drift.model_copy(update={"response": off})
    world.loop.params = world.loop.params.model_copy(update={"drift": drift})
    assert not world.respond()
    assert world.event(event.id).steps == ()


def test_drift_that_may_ask_for_no_training_says_so(world: DriftWorld) -> None:
    no_wish = world.loop.params.triggers.model_copy(update={"on_drift": False})
    world.loop.params = world.loop.params.model_copy(update={"triggers": no_wish})
    event = world.open_event()
    world.go_on(event.id, StepName.TRAINING)
    step = world.event(event.id).step(StepName.TRAINING)
    assert step is not None
    assert "no training was asked for: not followed: triggers.on_drift is false" in step.words


def test_what_light_does_not_explain_starts_no_training_for_it(world: DriftWorld) -> None:
    plain: Params = world.loop.params
    off = plain.drift.response.model_copy(update={"augmentation": False})
    world.loop.params = plain.model_copy(update={"drift": plain.drift.model_copy(update={"response": off})})
    event = world.open_event()
    world.go_on(event.id, StepName.TRAINING)
    assert world.written == {}
