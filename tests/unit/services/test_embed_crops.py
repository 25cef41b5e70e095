"""How a crop is cut and named."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.domain.geometry import Box
from damageloop.services.images.embed_crops import crop_key, cut_out
from tests.factories import MOMENT, make_annotation

# Row number in the first channel, column number in the second.
IMAGE = np.stack([*np.mgrid[0:80, 0:100], np.zeros((80, 100), dtype=np.int64)], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("box", "margin", "rows", "columns"),
    [
        (Box(10, 10, 30, 20), 0.1, (9, 20), (8, 31)),
        (Box(10, 10, 30, 20), 0.0, (10, 19), (10, 29)),
        (Box(0, 0, 100, 80), 0.5, (0, 79), (0, 99)),
        # Drawn by hand over the edge.
        (Box(90, 70, 120, 95), 0.0, (70, 79), (90, 99)),
        # Smaller than a pixel: one pixel at least.
        (Box(99.7, 79.7, 99.9, 79.9), 0.0, (79, 79), (99, 99)),
    ],
)
def test_a_crop_has_its_margin_as_far_as_the_image_reaches(
    box: Box, margin: float, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    crop = cut_out(IMAGE, box, margin)
    assert (int(crop[0, 0, 0]), int(crop[-1, -1, 0])) == rows
    assert (int(crop[0, 0, 1]), int(crop[-1, -1, 1])) == columns


def test_an_edited_annotation_gives_its_boxes_other_keys_and_a_new_annotator_does_not() -> None:
    key = crop_key(make_annotation(7), 0)
    assert key.startswith("7:")
    assert key.endswith(":0")
    assert crop_key(make_annotation(7, x_min=11.0), 0) != key
    assert crop_key(make_annotation(7, external_id="other", updated_at=MOMENT.replace(year=2027)), 0) == key
