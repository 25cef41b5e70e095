"""What a human said, and whether it is new."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box

DENT, SCRATCH = LabeledBox("dent", Box(1, 2, 30, 40)), LabeledBox("scratch", Box(5, 5, 9, 9))
ANNOTATION = Annotation(
    1, Verdict.DAMAGED, (DENT, SCRATCH), "label-studio", "17", "user-1", datetime(2026, 1, 1, tzinfo=UTC), 7.5
)


def test_who_said_it_when_and_in_which_order_changes_no_content() -> None:
    later = replace(
        ANNOTATION,
        boxes=(SCRATCH, DENT),
        annotator="user-2",
        lead_time_s=99.0,
        updated_at=ANNOTATION.updated_at + timedelta(days=1),
        external_id="18",
    )
    assert later.content_hash == ANNOTATION.content_hash


def test_rounding_by_another_format_changes_no_content() -> None:
    moved = replace(ANNOTATION, boxes=(LabeledBox("dent", Box(1, 2.0000001, 30, 40)), SCRATCH))
    assert moved.content_hash == ANNOTATION.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": (DENT,)},
        {"boxes": (replace(DENT, damage_class="scratch"), SCRATCH)},
        {"boxes": (LabeledBox("dent", Box(1, 2, 30, 41)), SCRATCH)},
        {"verdict": Verdict.CLEAN},
        {"is_deleted": True},
    ],
)
def test_other_boxes_verdict_or_deletion_change_the_content(change: dict[str, Any]) -> None:
    assert replace(ANNOTATION, **change).content_hash != ANNOTATION.content_hash


def test_only_damaged_and_clean_are_labeled_and_only_while_they_exist() -> None:
    labeled = {v for v in Verdict if replace(ANNOTATION, verdict=v).is_labeled}
    assert labeled == {Verdict.DAMAGED, Verdict.CLEAN}
    assert not replace(ANNOTATION, is_deleted=True).is_labeled
