"""Which boxes of a teacher become targets, and on which steps they are trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.errors import InvalidInputError
from damageloop.training_params import SemiSupervisedParams
from workers.stages.pseudo_labels import (
    EpochCounts,
    Judgement,
    PseudoLabelRules,
    burn_in_epochs,
    drawn_for_epoch,
    is_due,
    judge,
    rules_of,
    teacher_decay,
)

RULES = PseudoLabelRules(class_thresholds=(0.6, 0.8), ambiguous_from=0.3)


def judged(*boxes: tuple[float, int]) -> Judgement:
    confidences = np.array([confidence for confidence, _ in boxes], dtype=np.float32)
    return judge(confidences, np.array([index for _, index in boxes], dtype=np.intp), RULES)


@pytest.mark.parametrize(
    ("boxes", "judgement"),
    [
        ((), Judgement.EMPTY),
        (((0.29, 0),), Judgement.EMPTY),
        (((0.9, 0),), Judgement.USED),
        (((0.9, 0), (0.1, 1)), Judgement.USED),
        # One box that may be there spoils the image: left out of the targets it would be learned as background.
        (((0.9, 0), (0.4, 1)), Judgement.AMBIGUOUS),
        (((0.7, 0),), Judgement.USED),
        (((0.7, 1),), Judgement.AMBIGUOUS),
        (((0.31, 0),), Judgement.AMBIGUOUS),
    ],
)
def test_an_image_is_used_only_where_every_box_that_may_be_there_is_sure(
    boxes: tuple[tuple[float, int], ...], judgement: Judgement
) -> None:
    assert judged(*boxes) is judgement


def test_a_confidence_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="diverged"):
        judged((float("nan"), 0))


def test_a_class_without_a_threshold_of_its_own_has_the_common_one() -> None:
    params = SemiSupervisedParams(confidence=0.6, class_confidence={"dent": 0.8}, ambiguous_from=0.3)
    assert rules_of(params, ("scratch", "dent")) == RULES


def test_the_same_epoch_draws_the_same_images_and_another_one_others() -> None:
    first = drawn_for_epoch(1000, 20, seed=3, epoch=5)
    assert first.tolist() == drawn_for_epoch(1000, 20, seed=3, epoch=5).tolist()
    assert first.tolist() != drawn_for_epoch(1000, 20, seed=3, epoch=6).tolist()
    assert sorted(set(first.tolist())) == first.tolist()
    assert len(first) == 20
    assert drawn_for_epoch(4, 20, seed=3, epoch=5).tolist() == [0, 1, 2, 3]


def test_batches_of_unlabeled_images_lie_evenly_over_the_epoch() -> None:
    assert [step for step in range(8) if is_due(step, 8, 2)] == [3, 7]
    assert not any(is_due(step, 8, 0) for step in range(8))
    assert all(is_due(step, 4, 9) for step in range(4))


@settings(max_examples=40, deadline=None)
@given(n_steps=st.integers(1, 60), n_batches=st.integers(0, 80))
def test_every_batch_is_used_once_where_there_are_steps_enough(n_steps: int, n_batches: int) -> None:
    assert sum(is_due(step, n_steps, n_batches) for step in range(n_steps)) == min(n_steps, n_batches)


def test_the_burn_in_is_rounded_up_to_whole_epochs() -> None:
    assert [burn_in_epochs(22, 0.4), burn_in_epochs(10, 0.3), burn_in_epochs(2, 0.5), burn_in_epochs(5, 0.0)] == [
        9,
        3,
        1,
        0,
    ]


def test_the_teacher_follows_fast_at_first_and_never_slower_than_its_decay() -> None:
    assert teacher_decay(0, 0.99) == pytest.approx(0.1)
    assert teacher_decay(90, 0.99) == pytest.approx(0.91)
    assert teacher_decay(5000, 0.99) == 0.99


def test_counts_are_logged_without_the_epoch() -> None:
    figures = EpochCounts(epoch=9, looked_at=10, used=4, boxes=6, ambiguous=1, empty=5).figures()
    assert figures == {
        "semi_supervised/looked_at": 10.0,
        "semi_supervised/used": 4.0,
        "semi_supervised/boxes": 6.0,
        "semi_supervised/ambiguous": 1.0,
        "semi_supervised/empty": 5.0,
    }
