"""From contradicted annotations to a second look and its result, with predictions that a test gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from damageloop.adapters.cleanlab import ObjectLabChecker
from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind
from damageloop.domain.label_error import LabelErrorState
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.ports import FoldRequest, Progress
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.request_images import RequestImages
from damageloop.services.loop.ledger import Ledger
from damageloop.services.reviews.find_label_errors import FindLabelErrors
from damageloop.services.reviews.label_errors import LabelErrors
from tests.factories import add_image
from tests.fakes.clock import FakeClock
from tests.fakes.job_context import NoContext
from tests.fakes.job_queue import FakeJobQueue
from tests.fakes.photos import make_params
from tests.integration.databases import BOTH

DATABASES = BOTH

HERE, FAR = Box(10, 10, 110, 90), Box(300, 200, 380, 260)
PARAMS = make_params()
# Images 1 to 8 are of train, 9 of val, 10 of test. People drew a dent on each.
SWAPPED, SPLITS = 3, {**dict.fromkeys(range(1, 9), Split.TRAIN), 9: Split.VAL, 10: Split.TEST}
AGREES = (Detection("dent", 0.9, HERE, (0.1, 0.9)),)
SAYS_SCRATCH = (Detection("scratch", 0.93, HERE, (0.93, 0.1)),)
SEES_MORE = (*AGREES, Detection("scratch", 0.8, FAR, (0.8, 0.1)))


def sha(number: int) -> str:
    return f"{number:064x}"


def annotation(number: int, x_min: float = 10.0, **changes: Any) -> Annotation:
    boxes = (LabeledBox("dent", Box(x_min, 10, 110, 90)),)
    values = {"verdict": Verdict.DAMAGED, "boxes": boxes, "source": "label-studio", "external_id": str(number)}
    return Annotation(image_id=number, annotator="ann", **{**values, "updated_at": FakeClock().now(), **changes})


@dataclass
class FakeFolds:
    """A `FoldPredictor` that agrees with people but where it is told otherwise."""

    otherwise: dict[int, tuple[Detection, ...]]
    asked: list[FoldRequest] = field(default_factory=list)

    def predict(
        self, request: FoldRequest, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> dict[str, tuple[Detection, ...]]:
        progress(0.5, "fold 2 of 3")
        self.asked.append(request)
        train = {sha(n): self.otherwise.get(n, AGREES) for n, split in SPLITS.items() if split is Split.TRAIN}
        return train | {held: self.otherwise.get(int(held, 16), AGREES) for held in request.held_out}


@dataclass
class Desk:
    units: UnitOfWorkFactory
    clock: FakeClock
    folds: FakeFolds
    params: Any = PARAMS

    def find(self) -> dict[str, Any]:
        check = ObjectLabChecker(self.params.labels.classes, 0.7, 0.5)
        return FindLabelErrors(self.units, self.folds, check, self.clock, self.params)({"snapshot_id": 1}, NoContext())

    @property
    def errors(self) -> LabelErrors:
        ledger = Ledger(self.units, FakeJobQueue(), self.clock)
        return LabelErrors(self.units, RequestImages(self.units, self.clock), ledger, self.params)

    def states(self) -> dict[int, LabelErrorState]:
        with self.units(read_only=True) as work:
            return {error.image_id: error.state for error in work.label_errors.all()}

    def annotate(self, changed: Annotation) -> None:
        with self.units() as work:
            work.annotations.upsert(changed)
            # As the answer in a second task does.
            request = work.image_requests.active_of_image(changed.image_id)
            if request:
                work.image_requests.end(request.id, self.clock.now())
            work.commit()
        self.errors.settle()


@pytest.fixture(name="desk")
def desk_(units: UnitOfWorkFactory, clock: FakeClock) -> Desk:
    with units() as work:
        for number, split in SPLITS.items():
            add_image(work, number, split)
            work.annotations.upsert(annotation(number))
        row = Snapshot(1, "snapshot-0001", "c", "h", None, {}, "r", "l", "p", clock.now())
        work.snapshots.add(row, work.annotations.sequence())
        work.commit()
    clock.advance(hours=1)
    return Desk(units, clock, FakeFolds({SWAPPED: SAYS_SCRATCH}))


def test_a_swapped_class_is_found_and_told_in_words(desk: Desk) -> None:
    assert desk.find() == {"snapshot_id": 1, "judged": 9, "found": 1, "new": 1}
    (listed,) = desk.errors.page(10, None).items
    assert (listed.error.image_id, listed.error.state) == (SWAPPED, LabelErrorState.OPEN)
    assert listed.reason == "dent drawn where the model is sure of a scratch (0.93)"
    assert listed.detections == SAYS_SCRATCH


def test_test_images_are_left_alone_and_val_is_judged_by_a_fold_or_by_the_snapshots_own_model(desk: Desk) -> None:
    desk.find()
    assert desk.folds.asked == [FoldRequest("snapshot-0001", 3, 0, (sha(9),))]
    with desk.units() as work:
        version = work.models.allot("key", 1, desk.clock.now())
        work.models.record(version, "run", "1", {})
        work.predictions.add_many([Prediction(9, version, SAYS_SCRATCH, 0.93)], desk.clock.now())
        work.commit()
    assert desk.find()["found"] == 2
    assert desk.folds.asked[-1].held_out == ()
    assert set(desk.states()) == {SWAPPED, 9}


def test_searching_again_doubles_nothing_and_forgets_open_doubts_that_are_gone(desk: Desk) -> None:
    desk.folds.otherwise[4] = SEES_MORE
    assert desk.find()["new"] == 2
    assert desk.find()["new"] == 0
    desk.folds.otherwise = {4: SEES_MORE}
    assert desk.find()["found"] == 1
    assert desk.states() == {4: LabelErrorState.OPEN}


def test_the_most_doubtful_is_sent_first_and_sending_again_sends_the_next(desk: Desk) -> None:
    desk.folds.otherwise[4] = SEES_MORE
    desk.find()
    first, second = [item.error.image_id for item in desk.errors.page(10, None).items]
    assert desk.errors.send(1, "ann") == [first]
    assert desk.errors.send(5, "ann") == [second]
    assert desk.errors.send(5, "ann") == []
    with desk.units(read_only=True) as work:
        requests = work.image_requests.active()
    assert [(r.image_id, r.kind, r.origin) for r in requests] == [
        (image_id, RequestKind.SEND_BACK, RequestOrigin.LABEL_CHECK) for image_id in (first, second)
    ]
    with pytest.raises(InvalidInputError):
        desk.errors.send(0, "ann")


def test_a_corrected_annotation_confirms(desk: Desk) -> None:
    desk.find()
    desk.errors.send(1, "ann")
    desk.annotate(annotation(SWAPPED, x_min=20.0, updated_at=desk.clock.now()))
    assert desk.states() == {SWAPPED: LabelErrorState.CONFIRMED}
    assert desk.errors.page(10, None).items == ()


def test_a_second_look_without_a_change_dismisses_for_good(desk: Desk) -> None:
    desk.find()
    desk.errors.send(1, "ann")
    desk.errors.settle()
    assert desk.states() == {SWAPPED: LabelErrorState.QUEUED}
    desk.clock.advance(minutes=5)
    desk.annotate(annotation(SWAPPED, updated_at=desk.clock.now()))
    assert desk.states() == {SWAPPED: LabelErrorState.DISMISSED}
    assert desk.find()["new"] == 0
    assert desk.errors.send(5, "ann") == []


@pytest.mark.parametrize(("x_min", "state"), [(10.01, LabelErrorState.DISMISSED), (30.0, LabelErrorState.CONFIRMED)])
def test_an_answer_in_a_second_task_dismisses_what_it_says_again_and_confirms_what_it_changes(
    desk: Desk, x_min: float, state: LabelErrorState
) -> None:
    desk.find()
    desk.errors.send(1, "ann")
    desk.annotate(annotation(SWAPPED, x_min=x_min, external_id="second", task_id=99, updated_at=desk.clock.now()))
    assert desk.states() == {SWAPPED: state}


def test_of_a_held_out_image_nothing_is_told_until_it_was_looked_at_again(desk: Desk) -> None:
    desk.folds.otherwise = {9: SAYS_SCRATCH}
    desk.find()
    (listed,) = desk.errors.page(10, None).items
    assert (listed.error.image_id, listed.reason, listed.detections) == (9, None, None)
    desk.errors.send(1, "ann")
    with desk.units(read_only=True) as work:
        assert "scratch" not in work.image_requests.active()[0].reason
    desk.annotate(annotation(9, x_min=20.0, updated_at=desk.clock.now()))
    (listed,) = desk.errors.page(10, None, list(LabelErrorState)).items
    assert listed.reason is not None
    assert listed.detections == SAYS_SCRATCH


def test_an_annotation_that_came_after_the_snapshot_is_judged_as_it_is_now(desk: Desk) -> None:
    with desk.units() as work:
        boxes = (LabeledBox("scratch", HERE),)
        work.annotations.upsert(annotation(SWAPPED, boxes=boxes, updated_at=desk.clock.now()))
        work.commit()
    assert desk.find()["found"] == 0


def test_the_list_comes_page_by_page(desk: Desk) -> None:
    desk.folds.otherwise |= {4: SEES_MORE, 5: SEES_MORE}
    desk.find()
    first = desk.errors.page(2, None)
    rest = desk.errors.page(2, first.next_after)
    assert (len(first.items), first.next_after, len(rest.items), rest.next_after) == (
        2,
        first.items[1].error.id,
        1,
        None,
    )
    qualities = [item.error.quality for item in (*first.items, *rest.items)]
    assert qualities == sorted(qualities)


def test_a_search_is_one_job_in_the_newest_snapshot(desk: Desk, clock: FakeClock) -> None:
    job = desk.errors.search()
    assert (job.kind, job.inputs) == (JobKind.FIND_LABEL_ERRORS, {"snapshot_id": 1})
    assert desk.errors.search().id == job.id


def test_an_unknown_snapshot_and_a_search_before_the_first_are_refused(
    units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    desk = Desk(units, clock, FakeFolds({}))
    with pytest.raises(NotFoundError):
        desk.find()
    with pytest.raises(ConflictError, match="no snapshot"):
        desk.errors.search()
