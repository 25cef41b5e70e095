"""How far a round is, by share, state and annotator."""

from __future__ import annotations

from dataclasses import replace

from damageloop.domain.round import ItemState, Round, RoundItem, RoundKind, RoundState, Share
from damageloop.services.rounds.round_progress import AnnotatorProgress, progress_of
from tests.factories import MOMENT, make_annotation, make_item

ROUND = Round(3, RoundKind.QUERY, "entropy", RoundState.OPEN, 1, 3, MOMENT)


def item(image_id: int, state: ItemState, share: Share = Share.CHOSEN, seconds: float | None = 10.0) -> RoundItem:
    return replace(make_item(image_id, share=share), state=state, expected_seconds=seconds)


def test_an_empty_round_has_no_progress_and_takes_no_time() -> None:
    found = progress_of(ROUND, [], [])
    assert (found.by_state, found.by_share, found.annotators) == ({}, {}, ())
    assert (found.expected_seconds, found.expected_seconds_left) == (0, 0)


def test_items_are_counted_by_state_and_by_share() -> None:
    items = [item(1, ItemState.REVIEWED), item(2, ItemState.SENT), item(3, ItemState.SENT, Share.AUDITED)]
    found = progress_of(ROUND, items, [])
    assert found.by_state == {"reviewed": 1, "sent": 2}
    assert found.by_share == {"chosen": {"reviewed": 1, "sent": 1}, "audited": {"sent": 1}}


def test_what_was_withdrawn_takes_no_time_and_what_is_reviewed_is_not_left() -> None:
    items = [item(1, ItemState.REVIEWED), item(2, ItemState.SENT, seconds=7.0), item(3, ItemState.WITHDRAWN)]
    found = progress_of(ROUND, items, [])
    assert (found.expected_seconds, found.expected_seconds_left) == (17.0, 7.0)


def test_one_image_of_unknown_time_leaves_the_total_unknown() -> None:
    items = [item(1, ItemState.REVIEWED, seconds=None), item(2, ItemState.SENT)]
    found = progress_of(ROUND, items, [])
    assert (found.expected_seconds, found.expected_seconds_left) == (None, 10.0)


def test_annotators_are_told_apart_and_an_image_annotated_twice_is_one() -> None:
    works = [
        replace(make_annotation(image_id, str(number)), annotator=name, lead_time_s=seconds)
        for number, (image_id, name, seconds) in enumerate(
            [
                (1, "bert", 5.0),
                (1, "bert", 9.0),
                (2, "anna", 30.0),
                (3, "anna", 10.0),
                (4, "anna", None),
                (5, "cleo", None),
            ]
        )
    ]
    assert progress_of(ROUND, [], works).annotators == (
        AnnotatorProgress("anna", 3, 20.0),
        AnnotatorProgress("bert", 1, 7.0),
        AnnotatorProgress("cleo", 1, None),
    )
