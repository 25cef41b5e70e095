"""Which pre-annotations must not be sent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection, PreAnnotation, refusal_reason

CLASSES = ("scratch", "dent")
DENT = Detection("dent", 0.8, Box(0, 0, 100, 80))
SOUND = PreAnnotation(1, 2, 3, 0.5, (100, 80), (DENT,))


def test_a_sound_pre_annotation_has_no_reason() -> None:
    assert refusal_reason(SOUND, CLASSES) is None
    assert refusal_reason(replace(SOUND, detections=()), CLASSES) is None
    edge = replace(DENT, box=Box(-0.5, 0, 100.5, 80))
    assert refusal_reason(replace(SOUND, detections=(edge,)), CLASSES) is None


@pytest.mark.parametrize("rank", [-0.1, 1.1, math.nan, math.inf])
def test_a_rank_outside_its_range_is_refused(rank: float) -> None:
    assert "rank score" in str(refusal_reason(replace(SOUND, rank_score=rank), CLASSES))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"damage_class": "rust"}, "'rust' is not in the labeling configuration"),
        ({"confidence": math.nan}, "confidence nan"),
        ({"confidence": 1.01}, "confidence 1.01"),
        ({"box": Box(0, 0, 101, 80)}, "outside the (100, 80) image"),
        ({"box": Box(-1, 0, 100, 80)}, "outside the (100, 80) image"),
    ],
)
def test_the_reason_names_the_box_and_what_is_wrong(change: dict[str, Any], words: str) -> None:
    reason = str(refusal_reason(replace(SOUND, detections=(DENT, replace(DENT, **change))), CLASSES))
    assert reason.startswith("box 2: ")
    assert words in reason
