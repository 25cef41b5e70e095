"""What the annotation tool is told: nothing of audited images, and one bad image costs no other its answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from damageloop.domain.prediction import Detection, DetectorAnswer, PreAnnotation, Prediction
from damageloop.domain.round import RoundKind, Share
from damageloop.errors import NoChampionError, NotFoundError
from damageloop.params import Params, load_params
from damageloop.ports import Photo, RgbImage
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.rounds.answer_tasks import AnswerTasks
from damageloop.services.serving.serving_champion import Serving
from tests.factories import MOMENT, add_image, make_detection, make_item
from tests.fakes.detector import FakeDetector, FixedChampion, make_manifest
from tests.integration.databases import BOTH

DATABASES = BOTH
CHOSEN, AUDITED, STORED, GONE = 1, 2, 3, 4


class FakeStore:
    """Has every image but one."""

    def photo(self, store_key: str, side_px: int) -> Photo:
        if store_key.endswith(f"{GONE:064x}.jpg"):
            raise NotFoundError(f"The image store has no {store_key}.")
        return Photo(np.zeros((480, 640, 3), dtype=np.uint8), (640, 480))


@dataclass
class ParallelDetector(FakeDetector):
    """Remembers the threads that ask it, and lets each wait until as many have come as it takes at a time."""

    n_parallel: int = 1
    threads: set[int] = field(default_factory=set)

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        if len(self.threads) < self.n_parallel:
            self.threads.add(threading.get_ident())
            self.everyone.wait(timeout=10.0)
        return super().detect(image, size_wh)

    def __post_init__(self) -> None:
        self.everyone = threading.Barrier(self.n_parallel)


class NoChampion:
    def current(self) -> Serving:
        raise NoChampionError("No model serves yet.")


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.fixture
def round_of_four(units: UnitOfWorkFactory) -> UnitOfWorkFactory:
    with units() as work:
        for number in (CHOSEN, AUDITED, STORED, GONE):
            add_image(work, number)
        shares = {AUDITED: Share.AUDITED}
        items = [make_item(n, n - 1, shares.get(n, Share.CHOSEN)) for n in (CHOSEN, AUDITED, STORED, GONE)]
        opened = work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, MOMENT, items)
        work.rounds.set_tasks(opened.id, {n: n * 10 for n in (CHOSEN, AUDITED, STORED, GONE)})
        both = (make_detection(0.8, "scratch"), make_detection(0.1))
        work.predictions.add_many([Prediction(n, 1, both, 0.8) for n in (AUDITED, STORED)], MOMENT)
        work.commit()
    return units


@pytest.fixture
def detector() -> FakeDetector:
    return FakeDetector(make_manifest(1), [make_detection(0.9), make_detection(0.2)])


@pytest.fixture
def answer_tasks(round_of_four: UnitOfWorkFactory, detector: FakeDetector, params: Params) -> AnswerTasks:
    return AnswerTasks(round_of_four, FixedChampion([detector]), FakeStore(), params)  # type: ignore[arg-type]


def detections(answer: PreAnnotation | None) -> tuple[Detection, ...]:
    assert answer is not None
    return answer.detections


def test_order_and_count_match_and_a_bad_image_is_none(answer_tasks: AnswerTasks) -> None:
    asked = [(40, GONE), (30, STORED), (99, 77), (10, CHOSEN), (20, AUDITED)]
    answers = answer_tasks.pre_annotations(asked)
    assert [a and (a.task_id, a.image_id) for a in answers] == [None, (30, 3), None, (10, 1), (20, 2)]


def test_only_what_reaches_the_display_threshold_is_shown(answer_tasks: AnswerTasks, detector: FakeDetector) -> None:
    fresh, stored = answer_tasks.pre_annotations([(10, CHOSEN), (30, STORED)])
    assert [d.confidence for d in detections(fresh)] == [0.9]
    assert [d.damage_class for d in detections(stored)] == ["scratch"]
    assert detector.n_calls == 1  # the stored one was not computed again


def test_the_score_is_the_place_in_the_round(answer_tasks: AnswerTasks) -> None:
    answers = answer_tasks.pre_annotations([(30, STORED), (10, CHOSEN)])
    assert [a and a.rank_score for a in answers] == [0.6, 0.2]


@pytest.mark.parametrize("claimed_image", [AUDITED, CHOSEN, 77])
def test_an_audited_task_shows_nothing_whatever_it_claims_to_be(
    answer_tasks: AnswerTasks, detector: FakeDetector, claimed_image: int
) -> None:
    (answer,) = answer_tasks.pre_annotations([(20, claimed_image)])
    assert detections(answer) == ()
    assert detector.n_calls == 0


def test_a_task_that_is_just_being_sent_is_known_by_its_image(
    answer_tasks: AnswerTasks, round_of_four: UnitOfWorkFactory
) -> None:
    with round_of_four() as work:
        fresh = add_image(work, 5)
        work.rounds.add(2, RoundKind.QUERY, "entropy", 1, 0, MOMENT, [make_item(fresh.id, 0, Share.AUDITED)])
        work.commit()
    (answer,) = answer_tasks.pre_annotations([(50, fresh.id)])
    assert detections(answer) == ()


def test_without_a_champion_every_task_is_answered_empty(round_of_four: UnitOfWorkFactory, params: Params) -> None:
    answer_tasks = AnswerTasks(round_of_four, NoChampion(), FakeStore(), params)  # type: ignore[arg-type]
    assert answer_tasks.model_version() is None
    assert answer_tasks.pre_annotations([(10, CHOSEN), (20, AUDITED)]) == [None, None]


def test_a_task_is_found_in_the_newest_round_and_by_its_number_before_its_image(
    round_of_four: UnitOfWorkFactory,
) -> None:
    with round_of_four() as work:
        items = [make_item(n, n - 1, Share.AUDITED) for n in (CHOSEN, STORED)]
        work.rounds.add(2, RoundKind.QUERY, "entropy", 1, 0, MOMENT, items)
        work.rounds.set_tasks(2, {CHOSEN: 70})
        work.commit()
    with round_of_four(read_only=True) as work:
        found = work.rounds.items_of_tasks([(10, CHOSEN), (70, CHOSEN), (30, STORED), (99, 77), (20, CHOSEN)])
    told = {task_id: (item.image_id, item.share, n_items) for task_id, (item, n_items) in found.items()}
    assert told == {
        10: (CHOSEN, Share.CHOSEN, 4),  # still task 10 of the first round
        70: (CHOSEN, Share.AUDITED, 2),
        30: (STORED, Share.AUDITED, 2),  # the second round is just being sent
        20: (AUDITED, Share.AUDITED, 4),  # a task is what its number says, whatever image it claims
    }


@pytest.mark.parametrize("n_parallel", [1, 2])
def test_many_tasks_are_answered_in_order_by_as_many_threads_as_the_engine_takes(
    round_of_four: UnitOfWorkFactory, params: Params, n_parallel: int
) -> None:
    detector = ParallelDetector(make_manifest(1), [make_detection(0.9)], n_parallel=n_parallel)
    answer_tasks = AnswerTasks(round_of_four, FixedChampion([detector]), FakeStore(), params)  # type: ignore[arg-type]
    with round_of_four() as work:
        ids = [add_image(work, number).id for number in range(5, 13)]
        opened = work.rounds.add(2, RoundKind.QUERY, "entropy", 1, 0, MOMENT, [make_item(i, i - 5) for i in ids])
        work.rounds.set_tasks(opened.id, {i: i * 10 for i in ids})
        work.commit()
    answers = answer_tasks.pre_annotations([(i * 10, i) for i in [*ids, GONE]])
    assert [a and a.image_id for a in answers] == [*ids, None]
    assert len(detector.threads) == n_parallel
