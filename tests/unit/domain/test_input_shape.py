"""Which shape of input a photo is seen through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damageloop.domain.input_shape import choose_shape, released_shapes
from damageloop.domain.release import InputShape, ReleaseManifest

ALL = tuple(InputShape)
SIDES = st.integers(min_value=1, max_value=20_000)


@pytest.mark.parametrize(
    ("size_wh", "shape"),
    [
        ((640, 640), InputShape.SQUARE),
        ((1280, 960), InputShape.LANDSCAPE),
        ((960, 1280), InputShape.PORTRAIT),
        ((1920, 1080), InputShape.LANDSCAPE),
        ((4000, 500), InputShape.LANDSCAPE),
        # 1280 x 965 is a few pixels off 4:3: 480 / 965 is 0.5 % less than 640 / 1280.
        ((1280, 965), InputShape.LANDSCAPE),
        # Through 640 x 480 it would be seen at 0.48 of its size instead of 0.58.
        ((1100, 1000), InputShape.SQUARE),
        ((500, 440), InputShape.SQUARE),
    ],
)
def test_a_photo_takes_the_smallest_shape_that_shows_it_no_smaller(size_wh: tuple[int, int], shape: InputShape) -> None:
    assert choose_shape(size_wh, 640, ALL) is shape


@given(width=SIDES, height=SIDES)
def test_a_turned_photo_takes_the_turned_shape(width: int, height: int) -> None:
    turned = {
        InputShape.SQUARE: InputShape.SQUARE,
        InputShape.LANDSCAPE: InputShape.PORTRAIT,
        InputShape.PORTRAIT: InputShape.LANDSCAPE,
    }
    assert choose_shape((height, width), 640, ALL) is turned[choose_shape((width, height), 640, ALL)]


@given(width=SIDES, height=SIDES, offered=st.sets(st.sampled_from(ALL), min_size=1))
def test_only_what_is_offered_is_taken_in_whatever_order(width: int, height: int, offered: set[InputShape]) -> None:
    chosen = choose_shape((width, height), 256, sorted(offered))
    assert chosen in offered
    assert chosen is choose_shape((width, height), 256, sorted(offered, reverse=True))


@given(width=SIDES, height=SIDES)
def test_no_photo_is_seen_more_than_a_hundredth_smaller_than_through_the_square(width: int, height: int) -> None:
    rows, columns = choose_shape((width, height), 640, ALL).size_hw(640)
    assert min(rows / height, columns / width) >= 0.99 * 640 / max(width, height)


@pytest.mark.parametrize(
    ("card", "shapes"),
    [
        ({}, ["square"]),
        ({"precision": {"chosen": "f32"}}, ["square"]),
        ({"precision": {"shapes": {"released": ["square"]}}}, ["square"]),
        ({"precision": {"shapes": {"released": ["square", "landscape"]}}}, ["square", "landscape"]),
    ],
)
def test_a_shape_serves_only_where_it_was_judged_to_hold(card: dict[str, object], shapes: list[str]) -> None:
    manifest = ReleaseManifest(1, ("dent",), 640, "f32", {}, {}, None, {}, card)
    assert released_shapes(manifest, ALL) == tuple(map(InputShape, shapes))
    # Whoever operates the platform may allow less, never more.
    assert released_shapes(manifest, [InputShape.SQUARE]) == (InputShape.SQUARE,)
