"""Which photos a drift affects."""

from __future__ import annotations

import pytest

from damageloop.domain.drift.bounds import Bound, DriftBounds, values_of
from damageloop.domain.drift.columns import QUALITY_COLUMNS
from damageloop.domain.image import ImageQuality

SIZE = (1000, 500)
QUALITY = ImageQuality(60.0, 40.0, 300.0, 2.0)


def test_without_an_event_nothing_is_beyond() -> None:
    bounds = DriftBounds({})
    assert bounds.flags(SIZE, QUALITY) == ()
    assert not bounds.affects(SIZE, QUALITY)
    assert bounds.depth(SIZE, QUALITY) == 0.0


@pytest.mark.parametrize(
    ("column", "bound", "flags"),
    [
        ("brightness", (80.0, None), ("dark",)),
        ("brightness", (60.0, None), ()),
        ("brightness", (None, 50.0), ("bright",)),
        ("contrast", (50.0, None), ("flat",)),
        ("sharpness", (400.0, None), ("unsharp",)),
        ("noise", (None, 1.0), ("noisy",)),
        ("megapixels", (1.0, None), ("low_resolution",)),
        ("brightness", (None, None), ()),
    ],
)
def test_a_photo_beyond_a_bound_is_called_by_its_name(column: str, bound: Bound, flags: tuple[str, ...]) -> None:
    assert DriftBounds({column: bound}).flags(SIZE, QUALITY) == flags


def test_a_column_without_a_name_affects_a_photo_all_the_same() -> None:
    bounds = DriftBounds({"aspect_ratio": (None, 1.5)})
    assert bounds.affects(SIZE, QUALITY)
    assert bounds.flags(SIZE, QUALITY) == ()


def test_what_was_never_measured_is_beyond_nothing() -> None:
    assert not DriftBounds({"noise": (None, 0.0)}).affects(SIZE, ImageQuality(60.0, 40.0, 300.0))


def test_depth_is_the_share_of_the_bound() -> None:
    assert DriftBounds({"brightness": (80.0, None)}).depth(SIZE, QUALITY) == pytest.approx(0.25)
    both = DriftBounds({"brightness": (80.0, None), "sharpness": (600.0, None)})
    assert both.depth(SIZE, QUALITY) == pytest.approx(0.5)


def test_every_quality_column_has_a_value() -> None:
    assert set(values_of(SIZE, QUALITY)) == set(QUALITY_COLUMNS)
    assert values_of(SIZE, QUALITY)["megapixels"] == 0.5
