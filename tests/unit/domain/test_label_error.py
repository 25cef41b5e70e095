"""Doubts about annotations: what is said in words, what ranks, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image_request import ImageRequest, RequestKind, RequestOrigin
from damageloop.domain.label_error import (
    JudgedImage,
    LabelCheck,
    LabelError,
    LabelErrorState,
    doubt_of,
    recall_by_class,
    settled_state,
)
from damageloop.domain.prediction import Detection
from tests.factories import MOMENT, make_annotation

HERE, BESIDE, FAR = Box(10, 10, 50, 50), Box(30, 10, 70, 50), Box(200, 200, 240, 240)
DENT = LabeledBox("dent", HERE)


def seen(name: str, confidence: float, box: Box = HERE) -> Detection:
    return Detection(name, confidence, box)


def check(quality: float = 1.0, overlooked: float = 1.0, misplaced: float = 1.0, swapped: float = 1.0) -> LabelCheck:
    return LabelCheck(quality, (overlooked,), (misplaced,), (swapped,))


def test_recall_counts_two_unseen_boxes_more_so_that_few_prove_little() -> None:
    found = JudgedImage((DENT,), (seen("dent", 0.3),))
    missed = JudgedImage((DENT, LabeledBox("scratch", FAR)), ())
    assert recall_by_class([found] * 8) == {"dent": 0.8}
    assert recall_by_class([found] * 8 + [missed]) == {"dent": pytest.approx(8 / 11), "scratch": 0.0}


def test_a_box_is_seen_by_a_detection_of_any_class_that_overlaps_it_by_a_fifth() -> None:
    # Two 40 x 40 boxes, 20 apart: 800 / 2400 = 0.33.
    assert recall_by_class([JudgedImage((DENT,), (seen("scratch", 0.1, BESIDE),))] * 2) == {"dent": 0.5}
    assert recall_by_class([JudgedImage((DENT,), (seen("dent", 0.9, Box(43, 10, 83, 50)),))]) == {"dent": 0.0}


def test_an_unseen_box_is_doubtful_where_the_model_finds_its_class() -> None:
    image = JudgedImage((DENT,), ())
    doubt = doubt_of(image, LabelCheck(1.0, (), (1.0,), (1.0,)), {"dent": 0.9})
    assert doubt.quality == pytest.approx(0.1 ** (1 / 3))
    assert doubt.reason == "a drawn dent that the model does not see, which finds 90% of them"


def test_the_checkers_quality_stands_where_every_box_is_seen() -> None:
    image = JudgedImage((DENT,), (seen("scratch", 0.93),))
    doubt = doubt_of(image, check(quality=0.3, swapped=0.05), {"dent": 0.9})
    assert doubt.quality == 0.3
    assert doubt.reason == "dent drawn where the model is sure of a scratch (0.93)"


def test_a_damage_that_nobody_drew_is_named_with_its_confidence() -> None:
    image = JudgedImage((), (seen("scratch", 0.91),))
    doubt = doubt_of(image, LabelCheck(0.1, (0.001,), (), ()), {})
    assert doubt.reason == "the model sees a scratch at 0.91 that nobody drew"


def test_a_shifted_box_is_told_with_its_overlap() -> None:
    image = JudgedImage((DENT,), (seen("dent", 0.9, BESIDE),))
    doubt = doubt_of(image, check(quality=0.6, misplaced=0.31), {"dent": 0.9})
    assert doubt.reason == "a drawn dent that overlaps what the model sees by 33% only"


def test_a_shifted_box_is_told_by_the_surest_detection_that_touches_it() -> None:
    image = JudgedImage((DENT,), (seen("dent", 0.9, BESIDE), seen("dent", 0.1), seen("dent", 0.95, FAR)))
    doubt = doubt_of(image, LabelCheck(0.6, (1.0,) * 3, (0.31,), (1.0,)), {"dent": 0.9})
    assert "by 33% only" in doubt.reason


def test_two_boxes_with_one_doubt_say_it_once() -> None:
    image = JudgedImage((DENT, LabeledBox("dent", FAR)), ())
    doubt = doubt_of(image, LabelCheck(1.0, (), (1.0, 1.0), (1.0, 1.0)), {"dent": 0.9})
    assert doubt.reason == "a drawn dent that the model does not see, which finds 90% of them"


def test_the_greatest_doubt_comes_first_and_two_are_enough() -> None:
    image = JudgedImage((DENT,), (seen("scratch", 0.93, FAR),))
    doubt = doubt_of(image, check(quality=0.2, overlooked=0.02, misplaced=0.4, swapped=0.45), {"dent": 0.9})
    assert doubt.reason == (
        "the model sees a scratch at 0.93 that nobody drew; "
        "a drawn dent that the model does not see, which finds 90% of them"
    )


ANNOTATION = make_annotation(1)
ERROR = LabelError(1, 1, ANNOTATION.content_hash, 1, 0.2, "words", (), LabelErrorState.QUEUED, MOMENT)
OPEN = replace(ERROR, state=LabelErrorState.OPEN)


def asked(kind: RequestKind) -> ImageRequest:
    return ImageRequest(1, 1, kind, RequestOrigin.LABEL_CHECK, "words", "label check", MOMENT)


@pytest.mark.parametrize("changed", [None, make_annotation(1, x_min=11.0), make_annotation(1, verdict=Verdict.CLEAN)])
def test_a_changed_or_deleted_annotation_confirms_whether_or_not_it_was_sent(changed: Annotation | None) -> None:
    for error in (OPEN, ERROR):
        assert settled_state(error, changed, None) is LabelErrorState.CONFIRMED


def test_a_second_look_that_changes_nothing_dismisses() -> None:
    assert settled_state(ERROR, ANNOTATION, asked(RequestKind.SEND_BACK)) is LabelErrorState.QUEUED
    assert settled_state(ERROR, ANNOTATION, None) is LabelErrorState.DISMISSED


def test_an_open_doubt_stays_open_and_a_skip_opens_a_queued_one_again() -> None:
    assert settled_state(OPEN, ANNOTATION, None) is LabelErrorState.OPEN
    assert settled_state(ERROR, ANNOTATION, asked(RequestKind.SKIP)) is LabelErrorState.OPEN


def test_what_is_decided_stays_so() -> None:
    dismissed = replace(ERROR, state=LabelErrorState.DISMISSED)
    assert settled_state(dismissed, make_annotation(1, x_min=11.0), None) is LabelErrorState.DISMISSED
