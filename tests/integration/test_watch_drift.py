"""The watch over drift on a real database: too few, acceptable, beyond, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from damageloop.adapters.evidently import EvidentlyComparison
from damageloop.domain.annotation import Verdict
from damageloop.domain.drift.event import DriftEvent, DriftState, Step, StepName
from damageloop.domain.feedback import FeedbackKind
from damageloop.domain.image import Image, ImageQuality, Origin
from damageloop.domain.outcome import Outcome
from damageloop.domain.prediction import Prediction
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.round import ItemState, RoundItem, RoundKind, Share
from damageloop.domain.served_image import ServedImage
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params, load_params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.ledger import Ledger
from damageloop.services.loop.plan_watching import read_watch
from damageloop.services.monitoring.drift_reference import ReadReference, random_images
from damageloop.services.monitoring.drift_status import DriftStatus
from damageloop.services.monitoring.expected_performance import ExpectedPerformance
from damageloop.services.monitoring.open_drift import OpenDrift
from damageloop.services.monitoring.watch_drift import WatchDrift
from tests.factories import MOMENT, add_image, make_annotation, make_detection, make_served, make_stored
from tests.fakes.clock import FakeClock
from tests.fakes.detector import make_manifest
from tests.fakes.features import FakeFeatureStore
from tests.fakes.job_context import NoContext
from tests.fakes.job_queue import FakeJobQueue

pytestmark = pytest.mark.filterwarnings("ignore")
VERSION = 1


@dataclass
class OneRelease:
    """A release store with one manifest."""

    def manifest(self, version: int) -> object:
        return make_manifest(version)


@dataclass
class World:
    units: UnitOfWorkFactory
    params: Params
    clock: FakeClock = field(default_factory=FakeClock)
    features: FakeFeatureStore = field(default_factory=FakeFeatureStore)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    @property
    def watch(self) -> WatchDrift:
        reference = ReadReference(lambda: self.features, OneRelease(), self.params)  # type: ignore[arg-type]
        expect = ExpectedPerformance(OneRelease(), self.params)  # type: ignore[arg-type]
        return WatchDrift(self.units, reference, EvidentlyComparison, self.clock, self.params, expect)

    @property
    def status(self) -> DriftStatus:
        return DriftStatus(self.units, Ledger(self.units, FakeJobQueue(), self.clock), self.clock, lambda: self.params)

    def promote(self) -> None:
        with self.units() as work:
            version = work.models.allot("key", None, MOMENT)
            work.models.promote(version, None, None, PromotionReason.GATE, MOMENT)
            work.commit()

    def quality(self, brightness: float) -> ImageQuality:
        return ImageQuality(float(self.rng.normal(brightness, 20.0)), 40.0, float(self.rng.normal(300, 50)), 1.5)

    def add_pool(self, n: int, split: Split = Split.TEST) -> None:
        with self.units() as work:
            images = [self._add(work, number, split) for number in range(1, n + 1)]
            items = [
                RoundItem(image.id, Share.AUDITED, rank, 0.5, "drawn", ItemState.SENT)
                for rank, image in enumerate(images)
            ]
            work.rounds.add(1, RoundKind.AUDIT, "random", VERSION, 0, MOMENT, items)
            work.predictions.add_many([self._prediction(image) for image in images], MOMENT)
            work.commit()
        vectors = self.rng.normal(0.0, 1.0, (n, 2)).astype(np.float32)
        self.features.append(str(VERSION), [image.id for image in images], vectors)

    def _add(self, work: UnitOfWork, number: int, split: Split) -> Image:
        stored = replace(make_stored(number), quality=self.quality(120.0))
        return work.images.add(stored, f"{number}.jpg", f"vehicle-{number}", split, Origin.IMPORT)

    def _prediction(self, image: Image) -> Prediction:
        score = float(self.rng.uniform(0.3, 1.0))
        return Prediction(image.id, VERSION, (make_detection(score),), score)

    def serve(self, n: int, brightness: float = 120.0, first: int = 0) -> None:
        from damageloop.domain import feature_text

        def photo(number: int) -> ServedImage:
            score = float(self.rng.uniform(0.3, 1.0))
            vector = self.rng.normal(0.0, 1.0, 2).astype(np.float32)
            return replace(
                make_served(number, VERSION, self.clock.now()),
                quality=self.quality(brightness),
                top_score=score,
                confidences=(("dent", score),) if score >= 0.25 else (),
                outcome=Outcome.DAMAGED,
                embedding=feature_text.encode(vector),
            )

        with self.units() as work:
            work.served_images.add_many([photo(first + number) for number in range(n)])
            work.commit()


@pytest.fixture
def world(units: UnitOfWorkFactory) -> World:
    return World(units, load_params(Path(__file__).parents[2] / "params.yaml"))


def test_without_a_champion_there_is_nothing_to_watch(world: World) -> None:
    assert world.watch.look() is None
    assert world.watch({}, NoContext())["report"] is None
    with pytest.raises(ConflictError, match="No model serves"):
        world.status.check("anna")
    assert world.status().champion is None


def test_too_few_photos_say_so_and_open_nothing(world: World) -> None:
    world.promote()
    report = world.watch.look()
    assert report is not None
    assert report.state is DriftState.TOO_FEW
    assert "The reference has 0 random photos, it needs 100" in report.words[0]
    world.add_pool(120)
    world.serve(99, 30.0)
    report = world.watch.look()
    assert report is not None
    assert report.words == (
        "The champion has answered 99 photos that count, 100 are needed (drift.min_window_images).",
    )
    assert world.status().event is None


def test_photos_like_the_reference_are_acceptable_and_trigger_nothing(world: World) -> None:
    world.promote()
    world.add_pool(150)
    world.serve(200)
    result = world.watch({"asked_by": "anna"}, NoContext())
    assert result["state"] == "acceptable"
    overview = world.status()
    assert overview.report is not None
    assert overview.report.asked_by == "anna"
    assert overview.report.words == ("The newest 200 served photos are like the 150 of the reference.",)
    assert overview.event is None
    with world.units(read_only=True) as work:
        assert work.triggers.all() == []
        assert work.image_requests.active() == []
        assert work.jobs.all() == []


def test_dark_photos_open_one_event_that_ends_when_they_are_bright_again(world: World) -> None:
    world.promote()
    world.add_pool(150)
    world.serve(200, brightness=60.0)
    report = world.watch.look()
    assert report is not None
    assert report.state is DriftState.BEYOND
    event = world.status().event
    assert event is not None
    assert event.reason.startswith("Brightness fell from 1")
    assert event.kinds == ("dark",)
    assert event.columns[0] == "brightness"
    low, high = event.bounds["brightness"]
    assert low is not None
    assert 40 < low < 100
    assert high is None
    assert report.event_id == event.id
    again = world.watch.look()
    assert again is not None
    assert again.event_id == event.id
    world.serve(200, first=1000)
    over = world.watch.look()
    assert over is not None
    assert over.state is DriftState.ACCEPTABLE
    assert world.status().event is None
    ended = world.status.event(event.id)
    assert ended.outcome == "The photos are like the reference again."
    # The next one waits for the cooldown.
    world.serve(200, brightness=60.0, first=2000)
    assert world.watch.look() is not None
    assert world.status().event is None
    world.clock.advance(hours=25)
    assert world.watch.look() is not None
    assert world.status().event is not None


def test_drift_that_a_model_has_answered_is_no_news_until_it_moves_further(world: World) -> None:
    world.promote()
    world.add_pool(150)
    world.serve(200, brightness=60.0)
    world.watch.look()
    event = world.status().event
    assert event is not None
    with world.units() as work:
        work.drift.add_step(event.id, Step(StepName.MEASURED_AGAIN, world.clock.now(), "measured"))
        work.drift.resolve(event.id, "answered", world.clock.now())
        work.commit()
    world.clock.advance(hours=48)
    known = world.watch.look()
    assert known is not None
    assert (known.state, known.event_id) == (DriftState.BEYOND, event.id)
    assert world.status().event is None
    world.serve(200, brightness=25.0, first=1000)
    further = world.watch.look()
    assert further is not None
    assert further.event_id == event.id + 1


def test_darkness_on_top_of_another_drift_is_an_event_of_its_own(world: World) -> None:
    world.promote()
    world.add_pool(150)
    world.serve(200)
    with world.units() as work:
        other = DriftEvent(0, VERSION, "Outcomes changed.", MOMENT, (), ("outcome",), {}, 1)
        work.drift.add_event(other)
        work.commit()
    world.serve(200, brightness=60.0, first=1000)
    report = world.watch.look()
    assert report is not None
    with world.units(read_only=True) as work:
        first, second = work.drift.open_events()
    assert (first.columns, second.kinds) == (("outcome",), ("dark",))
    assert report.event_id == second.id
    again = world.watch.look()
    assert again is not None
    with world.units(read_only=True) as work:
        assert len(work.drift.open_events()) == 2
    open_drift = OpenDrift(world.units)
    assert open_drift().flags((640, 480), ImageQuality(20.0, 40.0, 300.0)) == ()
    open_drift.refresh()
    assert open_drift().flags((640, 480), ImageQuality(20.0, 40.0, 300.0)) == ("dark",)
    world.serve(200, first=2000)
    world.watch.look()
    with world.units(read_only=True) as work:
        assert work.drift.open_events() == []
    assert world.status.event(second.id).outcome == "The photos are like the reference again."


def test_a_report_expects_figures_without_labels_and_names_real_ones(world: World) -> None:
    world.promote()
    world.add_pool(150)
    world.serve(200)
    with world.units() as work:
        work.feedback.add("request-1", VERSION, FeedbackKind.MISSED, "", 1, MOMENT)
        stored = replace(make_stored(9000), quality=world.quality(120.0))
        image = work.images.add(stored, "p.jpg", "p", Split.TEST, Origin.PRODUCTION)
        work.predictions.add_many([Prediction(image.id, VERSION, (make_detection(0.9),), 0.9)], MOMENT)
        work.annotations.upsert(make_annotation(image.id))
        work.commit()
    report = world.watch.look()
    assert report is not None
    expected, real = report.performance["expected"], report.performance["real"]
    # Nobody has judged a box of val yet, so scores are taken at their word: on average 0.65.
    assert expected["precision"] == pytest.approx(0.65, abs=0.06)
    assert expected["shown_boxes"] == 200
    # One box on the wrong place, one damage missed.
    assert (real["photos"], real["precision"], real["recall"]) == (1, 0.0, 0.0)
    assert report.performance["feedback"] == {"missed": 1}


def test_many_photos_of_one_request_are_few_observations(world: World) -> None:
    world.promote()
    world.add_pool(150)
    with world.units() as work:
        many = [
            replace(make_served(5000 + n), request_id="one-car", position=n, quality=world.quality(60.0))
            for n in range(200)
        ]
        work.served_images.add_many(many)
        work.commit()
    report = world.watch.look()
    assert report is not None
    assert report.look.n_window == world.params.drift.max_per_request
    assert report.state is DriftState.TOO_FEW


def test_labeled_train_images_and_what_was_asked_for_are_no_reference(world: World) -> None:
    with world.units() as work:
        images = [add_image(work, number, Split.TRAIN) for number in range(1, 5)]
        others = [add_image(work, number, Split.VAL) for number in range(5, 8)]
        shares = [
            (images[0], Share.EXPLORED, 0.1),
            (images[1], Share.EXPLORED, 0.1),
            (images[2], Share.CHOSEN, None),
            (images[3], Share.PRIORITY, None),
            (others[0], Share.AUDITED, None),
            (others[1], Share.AUDITED, 0.2),
        ]
        items = [RoundItem(image.id, share, rank, p, "") for rank, (image, share, p) in enumerate(shares)]
        work.rounds.add(1, RoundKind.QUERY, "random", None, 0, MOMENT, items)
        work.annotations.upsert(make_annotation(images[0].id, verdict=Verdict.CLEAN))
        work.commit()
    with world.units(read_only=True) as work:
        found = {image.id for image in random_images(work, 100)}
        # Explored without a label, audited at random, and what nobody looked at of val.
        assert found == {images[1].id, others[1].id, others[2].id}
        assert len(random_images(work, 2)) == 2


def test_a_person_confirms_served_photos_as_the_reference(world: World) -> None:
    world.promote()
    world.add_pool(150)
    world.serve(50, brightness=60.0)
    with pytest.raises(ConflictError, match="has answered 50 different photos; 100 are needed"):
        world.status.confirm_reference(50, "anna")
    world.serve(100, brightness=60.0, first=100)
    chosen = world.status.confirm_reference(120, "anna")
    assert (chosen.kind, chosen.n_images, chosen.confirmed_by) == ("served", 120, "anna")
    assert world.status().reference == chosen
    report = world.watch.look()
    assert report is not None
    assert (report.look.reference, report.look.n_reference) == ("served", 120)
    assert report.state is DriftState.ACCEPTABLE
    assert world.status.use_random_reference("anna").kind == "random"
    report = world.watch.look()
    assert report is not None
    assert report.state is DriftState.BEYOND
    with pytest.raises(ConflictError, match="event is open"):
        world.status.confirm_reference(120, "anna")


def test_a_look_is_due_when_photos_came_and_the_last_one_is_old(world: World) -> None:
    def slot() -> int | None:
        with world.units(read_only=True) as work:
            return read_watch(work, world.params, VERSION, world.clock.now()).slot

    world.promote()
    assert slot() is None
    world.serve(1)
    assert slot() is not None
    world.watch.look()
    assert slot() is None
    world.clock.advance(minutes=16)
    assert slot() is None
    world.serve(1, first=10)
    assert slot() is not None
    off: Mapping[str, object] = {"enabled": False}
    world.params = world.params.model_copy(update={"drift": world.params.drift.model_copy(update=off)})
    assert slot() is None


def test_asking_twice_is_one_look(world: World) -> None:
    world.promote()
    first, second = world.status.check("anna"), world.status.check("ben")
    assert first.id == second.id
    assert first.inputs == {"asked_by": "anna"}
