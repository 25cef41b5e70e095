"""A scored pool on a real database, with all that strategies read, and the services that make rounds of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, Origin
from damageloop.domain.job import Job
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.promotion import PromotionReason, open_steps
from damageloop.domain.round import Round, RoundItem, RoundState
from damageloop.domain.second_opinion import SecondOpinion
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.services.images.request_images import RequestImages
from damageloop.services.loop.ledger import Ledger
from damageloop.services.loop.plan_loop import Plan
from damageloop.services.reviews.receive_reviews import ReceiveReviews
from damageloop.services.reviews.second_opinions import SecondOpinions
from damageloop.services.rounds.ask_for_round import AskForRound
from damageloop.services.rounds.close_round import CloseRound
from damageloop.services.rounds.open_round import OpenRound
from damageloop.services.rounds.pre_annotations import PreAnnotationSender
from damageloop.services.rounds.take_out_skipped import TakeOutSkipped
from tests.fakes.annotation_tool import FakeAnnotationTool
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.features import FakeFeatureStore
from tests.fakes.job_context import NoContext
from tests.fakes.job_queue import FakeJobQueue
from tests.fakes.photos import SIZE_WH, make_params, make_stored
from tests.integration.loop_world import LoopWorld, Outside

SPLITS = {Split.TRAIN: 40, Split.VAL: 6, Split.TEST: 12}
PARAMS = make_params(
    round={"query_size": 10, "explored_share": 0.2, "audited_share": 0.2, "audit_images": 6, "audit_groups": 3}
)
VERSION = 1
N_FEATURES = 8


@dataclass
class RoundWorld:
    """Images 1 to 40 are of train, 41 to 46 of val, 47 to 58 of test; each is a vehicle of its own."""

    folder: Path
    units: SqliteUnits
    clock: FakeClock
    params: Params = PARAMS
    tool: FakeAnnotationTool = field(default_factory=FakeAnnotationTool)
    features: FakeFeatureStore = field(default_factory=FakeFeatureStore)
    queue: FakeJobQueue = field(default_factory=FakeJobQueue)

    # --- what people and the loop do ---------------------------------------------------------------------------

    def open(self, number: int, kind: str = "query", version: int | None = VERSION, **wishes: Any) -> Round:
        """Open a round at once, as the job does."""
        sender = PreAnnotationSender(self.units, self.tool, self.clock, self.params)
        handler = OpenRound(self.units, self.tool, sender, self.features, self.clock, self.params)
        handler({"number": number, "kind": kind, "model_version": version, **wishes}, NoContext())
        return self.round(number)

    def close(self, number: int) -> Round:
        CloseRound(self.units, self.tool, self.clock)({"round_id": number}, NoContext())
        return self.round(number)

    def choose_and_then(self, number: int, happens: Callable[[], None]) -> None:
        """Open a round, and let something happen between its choice and its sending."""
        sender = PreAnnotationSender(self.units, self.tool, self.clock, self.params)
        handler = OpenRound(self.units, self.tool, sender, self.features, self.clock, self.params)

        class Interrupting(NoContext):
            def progress(self, share: float, message: str) -> None:
                happens()

        handler({"number": number, "kind": "query", "model_version": VERSION}, Interrupting())

    def set_aside(self, image_ids: list[int]) -> None:
        with self.units() as work:
            work.images.exclude_leaks(image_ids)
            work.commit()

    def send_opinions(self, units: Any = None, tool: Any = None) -> dict[str, Any]:
        """Do what is due about second opinions, perhaps by collaborators that die."""
        units, tool = units or self.units, tool or self.tool
        sender = PreAnnotationSender(units, tool, self.clock, self.params)
        return SecondOpinions(units, tool, sender, self.clock, self.params)({}, NoContext())

    def opinions(self) -> list[SecondOpinion]:
        with self.units(read_only=True) as work:
            return work.second_opinions.all()

    def take_out_skipped(self, number: int) -> dict[str, Any]:
        return TakeOutSkipped(self.units, self.tool)({"round_id": number}, NoContext())

    def ask(self, **wishes: Any) -> Job:
        return AskForRound(self.units, Ledger(self.units, self.queue, self.clock), self.clock, self.params)(
            "anna", **wishes
        )

    @property
    def requests(self) -> RequestImages:
        return RequestImages(self.units, self.clock)

    def review(self, items: list[RoundItem]) -> None:
        """Review these images in the tool, find a dent on each, and take it in."""
        for item in items:
            self.tool.submit(item.task_id or 0, [LabeledBox("dent", Box(10, 10, 50, 50))])
        self.receive()

    def receive(self) -> None:
        ReceiveReviews(self.units, self.tool, self.clock)()

    def plan(self) -> Plan:
        outside = Outside(tool=self.tool, features=self.features, queue=self.queue, clock=self.clock)
        return LoopWorld(self.folder, self.units, outside, self.params).advance().plan()

    # --- looking -----------------------------------------------------------------------------------------------

    def round(self, number: int) -> Round:
        with self.units(read_only=True) as work:
            return work.rounds.get(number)

    def items(self, number: int) -> list[RoundItem]:
        with self.units(read_only=True) as work:
            return work.rounds.items(number)

    def item(self, number: int, image_id: int) -> RoundItem | None:
        return next((item for item in self.items(number) if item.image_id == image_id), None)

    def images(self) -> list[Image]:
        with self.units(read_only=True) as work:
            return work.images.active()

    def held_twice(self) -> set[int]:
        """Return images that two unclosed rounds hold at once."""
        with self.units(read_only=True) as work:
            unclosed = [r.id for r in work.rounds.all() if r.state is not RoundState.CLOSED]
        held = [item.image_id for number in unclosed for item in self.items(number) if item.state != "withdrawn"]
        return {image_id for image_id in held if held.count(image_id) > 1}


def with_round(**values: Any) -> Params:
    """Return the parameters with other values for rounds."""
    return PARAMS.model_copy(update={"round": PARAMS.round.model_copy(update=values)})


def label(world: RoundWorld, image_ids: list[int], damage_class: str = "dent") -> None:
    """Label images as an import does."""
    with world.units() as work:
        for image_id in image_ids:
            boxes = (LabeledBox(damage_class, Box(10, 10, 50, 50)),)
            work.annotations.upsert(
                Annotation(image_id, Verdict.DAMAGED, boxes, "import", f"import-{image_id}", "anna", world.clock.now())
            )
        work.commit()


@contextmanager
def new_round_world(folder: Path, params: Params = PARAMS, is_scored: bool = True) -> Iterator[RoundWorld]:
    """Make a pool; scored by champion 1 with both views, box features and embeddings, unless told otherwise."""
    clock = FakeClock()
    with sqlite_units(folder, clock) as units:
        world = RoundWorld(folder, units, clock, params)
        with units() as work:
            splits = [split for split, count in SPLITS.items() for _ in range(count)]
            for number, split in enumerate(splits, start=1):
                work.images.add(make_stored(number), f"{number}.jpg", f"car-{number}", split, Origin.IMPORT)
            work.commit()
        if is_scored:
            score(world)
        yield world


def score(world: RoundWorld) -> None:
    """Make version 1 champion and let it have seen the pool."""
    rng = np.random.default_rng(7)
    predictions = [_prediction(image.id, rng) for image in world.images()]
    ids = [prediction.image_id for prediction in predictions]
    counts = [len(prediction.detections) for prediction in predictions]
    world.features.append(str(VERSION), ids, rng.normal(size=(len(ids), N_FEATURES)).astype(np.float32))
    boxes = rng.normal(size=(sum(counts), 4)).astype(np.float32)
    world.features.append_boxes(str(VERSION), ids, counts, boxes)
    with world.units() as work:
        work.models.allot("base", None, world.clock.now())
        work.models.record(VERSION, "run-1", "100", {})
        promotion = work.models.promote(VERSION, None, None, PromotionReason.FIRST_MODEL, world.clock.now())
        # Followed to its end long ago.
        for step in open_steps([]):
            work.models.record_step(promotion.id, step, "", world.clock.now())
        work.predictions.add_many(predictions, world.clock.now())
        work.commit()


def _prediction(image_id: int, rng: np.random.Generator) -> Prediction:
    views = [tuple(_detection(rng) for _ in range(image_id % 4)) for _ in range(2)]
    top = max((box.confidence for box in views[0]), default=0.04)
    return Prediction(image_id, VERSION, views[0], top, views[1])


def _detection(rng: np.random.Generator) -> Detection:
    scores = tuple(float(s) for s in rng.uniform(0.06, 0.95, 2))
    x_min, y_min = rng.uniform(0.0, 40.0, 2)
    box = Box(float(x_min), float(y_min), float(x_min) + 30.0, min(float(y_min) + 30.0, float(SIZE_WH[1])))
    return Detection(("scratch", "dent")[int(np.argmax(scores))], max(scores), box, scores, float(rng.uniform()))
