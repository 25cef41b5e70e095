"""What the annotation tool is told: nothing of audited images, and one bad image costs no other its answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from damageloop.domain.prediction import Detection, PreAnnotation, Prediction
from damageloop.domain.round import RoundKind, Share
from damageloop.errors import NoChampionError, NotFoundError
from damageloop.params import Params, load_params
from damageloop.ports import RgbImage
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.rounds.answer_tasks import AnswerTasks
from damageloop.services.serving.serving_champion import Serving
from tests.factories import MOMENT, add_image, make_detection, make_item
from tests.fakes.detector import FakeDetector, FixedChampion, make_manifest

CHOSEN, AUDITED, STORED, GONE = 1, 2, 3, 4


class FakeStore:
    """Has every image but one."""

    def load(self, store_key: str) -> RgbImage:
        if store_key.endswith(f"{GONE:064x}.jpg"):
            raise NotFoundError(f"The image store has no {store_key}.")
        return np.zeros((480, 640, 3), dtype=np.uint8)


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
