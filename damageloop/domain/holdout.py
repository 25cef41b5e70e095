"""The frozen test set of a comparison: what names it, and which of its images are which kind of photo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from damageloop.domain.gate_rules import Slice
from damageloop.domain.image import ImageQuality, Origin
from damageloop.domain.snapshot import SnapshotEntry


def truth_hash(entries: Sequence[SnapshotEntry]) -> str:
    """Return one hash of the images and what humans said of them; the order changes nothing.

    Comparisons are counted by it: one added image or one moved box makes another test set.
    """
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda e: e.sha256):
        digest.update(json.dumps(entry.annotation_row(), sort_keys=True).encode())
    return digest.hexdigest()


def slices_of(photos: Mapping[str, tuple[ImageQuality, Origin]], dark_brightness: float) -> dict[Slice, frozenset[str]]:
    """Return which images, by the name they are judged under, are dark, bright, imported and from production.

    Args:
        photos: Quality and origin by name.
        dark_brightness: Mean luma, 0 to 255, below which a photo is dark.
    """
    dark = frozenset(name for name, (quality, _) in photos.items() if quality.brightness < dark_brightness)
    produced = frozenset(name for name, (_, origin) in photos.items() if origin is Origin.PRODUCTION)
    return {
        Slice.DARK: dark,
        Slice.BRIGHT: frozenset(photos) - dark,
        Slice.IMPORT: frozenset(photos) - produced,
        Slice.PRODUCTION: produced,
    }
