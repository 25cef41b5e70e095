"""Kinds of photos by which figures are told apart, for people who look for what a model is bad at."""

from __future__ import annotations

from collections.abc import Sequence, Set
from enum import StrEnum

from damageloop.domain.image import Image, Origin
from damageloop.domain.photo_answers import Size, common_sizes, photo_kind


class ImageKind(StrEnum):
    """`whole` and `crop` go by `photo_answers.KIND_RULE`, dark and bright by `serving.dark_brightness`."""

    DARK = "dark"
    BRIGHT = "bright"
    WHOLE = "whole"
    CROP = "crop"
    IMPORT = "import"
    PRODUCTION = "production"


def image_kinds(images: Sequence[Image], dark_brightness: float) -> dict[ImageKind, frozenset[int]]:
    """Return the numbers of the images of each kind; every image is in one of each pair.

    Args:
        dark_brightness: Mean luma, 0 to 255, below which a photo is dark.
    """
    common = common_sizes([image.size_wh for image in images])
    found: dict[ImageKind, set[int]] = {kind: set() for kind in ImageKind}
    for image in images:
        for kind in _kinds(image, dark_brightness, common):
            found[kind].add(image.id)
    return {kind: frozenset(ids) for kind, ids in found.items()}


def _kinds(image: Image, dark_brightness: float, common: Set[Size]) -> tuple[ImageKind, ...]:
    is_dark = image.stored.quality.brightness < dark_brightness
    return (
        ImageKind.DARK if is_dark else ImageKind.BRIGHT,
        ImageKind(photo_kind(image.size_wh, common).value),
        ImageKind.PRODUCTION if image.origin is Origin.PRODUCTION else ImageKind.IMPORT,
    )
