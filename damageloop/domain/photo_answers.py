"""What a model answers to photos that people judged: false alarms on clean ones, and damage called none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from damageloop.domain.evaluation import BoolArray, FloatArray
from damageloop.domain.outcome import Outcome
from damageloop.domain.proportion import proportion

Size = tuple[int, int]
# A camera, or an export that made all photos alike, gives many photos one size; a crop has a size of its own.
COMMON_SIZE_SHARE = 0.02
COMMON_SIZE_IMAGES = 3
KIND_RULE = (
    f"Nobody says of an image whether it is a crop. One whose size (either way up) at least {COMMON_SIZE_SHARE:.0%} "
    f"and {COMMON_SIZE_IMAGES} of the snapshot's images have is counted as a whole photo, any other as a crop."
)


class PhotoKind(StrEnum):
    """By `KIND_RULE`."""

    WHOLE = "whole"
    CROP = "crop"


@dataclass(frozen=True, slots=True)
class AnsweredPhoto:
    """One test photo.

    Attributes:
        group: Photos of one group are no independent evidence.
        is_damaged: What humans said.
    """

    group: str
    kind: PhotoKind
    is_damaged: bool
    outcome: Outcome


def common_sizes(sizes: Sequence[Size]) -> frozenset[Size]:
    """Return the sizes, shorter side first, that enough of the images have to be a camera's or an export's own."""
    counted = Counter(_upright(size) for size in sizes)
    needed = max(COMMON_SIZE_IMAGES, COMMON_SIZE_SHARE * len(sizes))
    return frozenset(size for size, count in counted.items() if count >= needed)


def photo_kind(size_wh: Size, common: Set[Size]) -> PhotoKind:
    """Return whether an image counts as a whole photo or as a crop."""
    return PhotoKind.WHOLE if _upright(size_wh) in common else PhotoKind.CROP


def answer_shares(photos: Sequence[AnsweredPhoto], weights: FloatArray) -> dict[str, Any]:
    """Return the share of each outcome among the clean and among the damaged photos, as JSON values.

    Of the clean ones `damaged` is the false alarm; they are told by kind too. Of the damaged ones `none` is the one
    that costs a pricing service money.

    Args:
        photos: The test photos.
        weights: See `resampling.group_weights`, (n_samples, n_photos).
    """
    clean = np.array([not photo.is_damaged for photo in photos], dtype=bool)
    parts = {"all": clean} | {
        kind.value: clean & np.array([photo.kind is kind for photo in photos], dtype=bool) for kind in PhotoKind
    }
    return {
        "clean": {name: _shares(photos, mask, weights) for name, mask in parts.items()},
        "damaged": {"all": _shares(photos, ~clean, weights)},
    }


def _shares(photos: Sequence[AnsweredPhoto], mask: BoolArray, weights: FloatArray) -> dict[str, Any]:
    groups = [photo.group for photo in photos]
    shares = {}
    for outcome in Outcome:
        answered = np.array([photo.outcome is outcome for photo in photos], dtype=bool) & mask
        found = proportion(answered.astype(np.float64), mask.astype(np.float64), groups, weights)
        shares[outcome.value] = found.as_json()
    return {"images": int(mask.sum()), **shares}


def _upright(size_wh: Size) -> Size:
    return (min(size_wh), max(size_wh))
