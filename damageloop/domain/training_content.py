"""What a model was trained on, and in words what it never or hardly saw: computed from the snapshot's entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from damageloop.domain import snapshot
from damageloop.domain.annotation import Verdict
from damageloop.domain.photo_answers import PhotoKind, common_sizes, photo_kind
from damageloop.domain.severity import area_share
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split

# Of a kind of photo, or boxes of a class, below which a model can't be said to have learned it.
FEW = 30
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
# What no figure of a card can tell, whatever it was computed from.
NEVER_MEASURED = (
    "All figures are of photos from the same pool as the training photos: other cameras, markets, seasons and kinds "
    "of cars than those are measured nowhere in this card."
)


def training_content(
    entries: Sequence[SnapshotEntry],
    classes: Sequence[str],
    brightnesses: Mapping[str, float],
    dark_brightness: float,
) -> dict[str, Any]:
    """Return what the snapshot's train images hold as JSON values; `never_seen` in sentences for people.

    Args:
        entries: The whole snapshot; of it, train is what the model learned from.
        classes: The labels.
        brightnesses: Mean luma, 0 to 255, by image hash, of all train images or of some drawn evenly.
        dark_brightness: Mean luma below which a photo is dark.
    """
    train = [entry for entry in entries if entry.split is Split.TRAIN]
    boxes = Counter(box.damage_class for entry in train for box in entry.boxes)
    lit = [brightnesses[entry.sha256] for entry in train if entry.sha256 in brightnesses]
    content = {
        "images": len(train),
        "groups": len({entry.group for entry in train}),
        "clean": sum(entry.verdict is Verdict.CLEAN for entry in train),
        "boxes": {name: boxes.get(name, 0) for name in classes},
        "splits": snapshot.counts(entries),
        "long_side_px": _quantiles([max(entry.size_wh) for entry in train]),
        "box_area_share": _quantiles([area_share(box.box, entry.size_wh) for entry in train for box in entry.boxes]),
        "brightness": _quantiles(lit),
        "brightness_images": len(lit),
        "dark_share": round(sum(value < dark_brightness for value in lit) / len(lit), 4) if lit else None,
        # A snapshot does not keep whether an image was imported or came from production.
        "origins": None,
    }
    unseen = never_seen(train, classes, lit, dark_brightness)
    return {**content, "never_seen": unseen + _of_clean(entries, train), "not_measured": [NEVER_MEASURED]}


def never_seen(
    train: Sequence[SnapshotEntry], classes: Sequence[str], brightnesses: Sequence[float], dark_brightness: float
) -> list[str]:
    """Return sentences about what is absent from the train images, or rarer than `FEW`; none where nothing is."""
    sentences = _of_classes(train, classes)
    if brightnesses:
        n_dark = round(sum(value < dark_brightness for value in brightnesses) / len(brightnesses) * len(train))
        about = "" if len(brightnesses) == len(train) else f", estimated from {len(brightnesses)} photos"
        if n_dark < FEW:
            sentences.append(f"{_few(n_dark, 'dark photo')} (mean brightness below {dark_brightness:g}{about}).")
    return sentences + _of_sizes(train)


def _of_classes(train: Sequence[SnapshotEntry], classes: Sequence[str]) -> list[str]:
    boxes = Counter(box.damage_class for entry in train for box in entry.boxes)
    counted = {name: boxes.get(name, 0) for name in classes}
    return [f"{_few(count, 'box', 'boxes')} of {name}." for name, count in counted.items() if count < FEW]


def _of_clean(entries: Sequence[SnapshotEntry], train: Sequence[SnapshotEntry]) -> list[str]:
    clean = [entry for entry in train if entry.verdict is Verdict.CLEAN]
    if len(clean) < FEW:
        return [f"{_few(len(clean), 'photo')} without damage."]
    common = common_sizes([entry.size_wh for entry in entries])
    n_whole = sum(photo_kind(entry.size_wh, common) is PhotoKind.WHOLE for entry in clean)
    return [] if n_whole >= FEW else [f"{_few(n_whole, 'whole photo')} without damage; the other clean ones are crops."]


def _of_sizes(train: Sequence[SnapshotEntry]) -> list[str]:
    if not train:
        return ["No photo at all."]
    longest = max(max(entry.size_wh) for entry in train)
    sentences = [f"No photo with a side longer than {longest} px."]
    shapes = {"landscape": 0, "portrait": 0, "square": 0}
    for entry in train:
        width, height = entry.size_wh
        shapes["square" if width == height else "landscape" if width > height else "portrait"] += 1
    sentences += [f"{_few(count, f'{shape} photo')}." for shape, count in shapes.items() if count < FEW]
    shares = [area_share(box.box, entry.size_wh) for entry in train for box in entry.boxes]
    if shares:
        sentences.append(
            f"No damage that covers less than {min(shares):.2%} or more than {max(shares):.1%} of its photo."
        )
    return sentences


def _few(count: int, one: str, several: str = "") -> str:
    if not count:
        return f"No {one}"
    return f"Only {count} {one if count == 1 else several or f'{one}s'}"


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Return the quantiles by percent (`p0`, `p5`, `p50`, `p95`, `p100`); None without values."""
    if not values:
        return None
    found = np.quantile(np.asarray(values, dtype=np.float64), QUANTILES)
    return {f"p{100 * q:g}": round(float(value), 5) for q, value in zip(QUANTILES, found, strict=True)}
