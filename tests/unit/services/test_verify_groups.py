"""The invariant about groups: broken only by active images, and told with the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from damageloop.domain.image import Image
from damageloop.domain.split import Split
from damageloop.services.verify import Verify
from tests.fakes.photos import make_image, make_params


@dataclass
class Work:
    """A unit of work of which only the active images are known."""

    active: Sequence[Image]

    def __enter__(self) -> Any:
        return SimpleNamespace(images=SimpleNamespace(active=lambda: self.active))

    def __exit__(self, *_: object) -> None:
        pass


def violations(*active: Image) -> tuple[str, ...]:
    unused: Any = None

    def units(read_only: bool = False) -> Any:
        return Work(active)

    verify = Verify(units, unused, unused, unused, unused, unused, make_params())
    return tuple(verify._checked(verify._group_splits))


def test_a_group_in_two_splits_is_told() -> None:
    joined = [make_image(1, Split.TEST, "a", "a"), make_image(2, Split.TRAIN, "b", "a")]
    assert violations(*joined) == ("group a: image 2 is in train",)
    assert violations(joined[0], replace(joined[1], split=Split.TEST)) == ()


def test_a_vehicle_in_two_groups_is_told() -> None:
    images = [make_image(1, Split.TRAIN, "a", "a"), make_image(2, Split.TRAIN, "a", "z")]
    assert violations(*images) == ("vehicle a is in two groups: image 2 is in z",)
