"""What the pages Queue and Data say of what the API answers."""

from __future__ import annotations

from typing import Any

import pytest

from active_learning import registry
from console.components import gallery
from console.components.gallery_filters import saved_part
from console.pages.data_parts.look_map import _part
from console.pages.queue import why_of
from console.pages.queue_parts.rounds import STRATEGIES
from damageloop.domain.annotation import Verdict

ITEM: dict[str, Any] = {
    "id": 7,
    "vehicle": "car-1",
    "split": "train",
    "annotation": None,
    "detections": [{"damage_class": "dent", "confidence": 0.8, "box": {}}] * 2,
    "top_score": 0.8,
    "round_item": None,
}


def test_every_strategy_can_be_asked_for() -> None:
    assert sorted(STRATEGIES) == sorted(registry.names())


def test_every_verdict_has_words() -> None:
    assert set(gallery.VERDICTS) == {verdict.value for verdict in Verdict}
    assert gallery.VERDICTS["clean"] == "None"


def test_a_tile_says_in_words_what_it_shows() -> None:
    assert gallery.alt_of(ITEM) == "Photo 7 of car-1: the champion shows 2 dent"
    clean = {**ITEM, "annotation": {"verdict": "clean", "boxes": []}}
    assert gallery.alt_of(clean) == "Photo 7 of car-1: people said None"
    assert gallery.alt_of({**ITEM, "detections": None}) == "Photo 7 of car-1: no boxes"


def test_why_an_image_was_chosen_is_the_rounds_own_reason() -> None:
    place = {"share": "chosen", "rank": 3, "state": "sent", "reason": "unlike the others", "expected_seconds": None}
    assert why_of({**ITEM, "round_item": place}) == "chosen, rank 3, sent  \n*unlike the others*"
    assert why_of(ITEM) == "In no round yet"


def test_a_saved_filter_keeps_what_chooses_and_not_the_order() -> None:
    filters = {"round_id": "3", "order": "rank", "item_state": "sent", "is_labeled": "false", "split": "train"}
    assert saved_part(filters) == {"round_id": 3, "is_labeled": False, "split": "train"}


@pytest.mark.parametrize(
    ("classes", "name"), [(None, "not looked at"), ([], "None"), (["dent"], "dent"), (["a", "b"], "several classes")]
)
def test_a_point_of_the_map_is_named_after_what_people_drew(classes: list[str] | None, name: str) -> None:
    assert _part({"damage_classes": classes, "state": "labeled", "split": "val"}, "class") == name
