"""The invariant about groups: broken only by active images, and told with the image."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from damageloop.domain.image import Image
from damageloop.domain.split import Split
from damageloop.services.integrity.invariants.images import groups_in_one_split
from tests.fakes.photos import make_image


def violations(*active: Image) -> tuple[str, ...]:
    work = SimpleNamespace(images=SimpleNamespace(active=lambda: active))
    return tuple(groups_in_one_split(cast("Any", work)))


def test_a_group_in_two_splits_is_told() -> None:
    joined = [make_image(1, Split.TEST, "a", "a"), make_image(2, Split.TRAIN, "b", "a")]
    assert violations(*joined) == ("group a: image 2 is in train",)
    assert violations(joined[0], replace(joined[1], split=Split.TEST)) == ()


def test_a_vehicle_in_two_groups_is_told() -> None:
    images = [make_image(1, Split.TRAIN, "a", "a"), make_image(2, Split.TRAIN, "a", "z")]
    assert violations(*images) == ("vehicle a is in two groups: image 2 is in z",)
