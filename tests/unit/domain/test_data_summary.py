"""Numbers of images and boxes, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.data_summary import (
    AREA_EDGES,
    Basis,
    Histogram,
    box_numbers,
    counts_by_split,
    image_numbers,
)
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, ImageQuality, ImageStatus
from damageloop.domain.split import Split
from tests.factories import MOMENT, make_stored

BASIS = Basis("all 3 images", 3, is_exact=True)


def make_image(number: int, split: Split = Split.TRAIN, brightness: float = 120.0) -> Image:
    stored = replace(make_stored(number, (100, 100)), quality=ImageQuality(brightness, 40.0, 30.0))
    return Image(number, stored, f"{number}.jpg", f"v{number}", f"v{number}", split)


def said(image_id: int, verdict: Verdict, *boxes: tuple[str, float]) -> Annotation:
    """Return an annotation with square boxes of these side lengths."""
    drawn = tuple(LabeledBox(name, Box(0.0, 0.0, side, side)) for name, side in boxes)
    return Annotation(image_id, verdict, drawn, "label-studio", str(image_id), "ann", MOMENT)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([], (0, 0)),
        ([0.0], (1, 0)),
        ([16.0], (0, 1)),
        ([32.0], (0, 1)),
        ([-5.0, 300.0], (1, 1)),
        ([15.9, 16.0], (1, 1)),
    ],
)
def test_every_value_is_counted_once(values: list[float], counts: tuple[int, int]) -> None:
    assert Histogram.of(values, (0.0, 16.0, 32.0)).counts == counts


def test_a_forgotten_image_counts_by_its_status_alone() -> None:
    images = [make_image(1, brightness=10.0), make_image(2, Split.TEST, 250.0)]
    forgotten = replace(make_image(3), status=ImageStatus.FORGOTTEN)
    found = image_numbers([*images, forgotten], BASIS, 3)
    assert found.by_split == {"train": 1, "val": 0, "test": 1}
    assert found.by_status == {"active": 2, "excluded_leak": 0, "forgotten": 1}
    assert found.brightness.counts == (1, *[0] * 14, 1)
    assert found.sizes == (("100 x 100", 2),)


def test_boxes_are_told_by_the_share_of_their_image() -> None:
    annotated = [
        (make_image(1), said(1, Verdict.DAMAGED, ("dent", 10.0), ("dent", 30.0), ("scratch", 100.0))),
        (make_image(2), said(2, Verdict.CLEAN)),
    ]
    found = box_numbers(annotated, BASIS)
    assert (found.n_boxes, found.verdicts["damaged"], found.verdicts["clean"]) == (3, 1, 1)
    # 1 %, 9 % and the whole image.
    assert [edge for edge, n in zip(AREA_EDGES, found.area_share.counts, strict=False) if n] == [0.01, 0.05, 0.5]
    assert found.by_class["dent"].median_area_share == pytest.approx(0.05)
    assert list(found.by_class) == ["dent", "scratch"]


def test_what_no_snapshot_would_take_is_no_label() -> None:
    left_out = replace(make_image(3), status=ImageStatus.EXCLUDED_LEAK)
    annotated = [
        (make_image(1), said(1, Verdict.DAMAGED, ("dent", 10.0))),
        (make_image(2, Split.VAL), said(2, Verdict.UNUSABLE)),
        (left_out, said(3, Verdict.CLEAN)),
    ]
    found = counts_by_split(annotated)
    assert found["train"] == {"images": 1, "clean": 0, "groups": 1, "boxes": {"dent": 1}}
    assert found["val"]["images"] == 0
