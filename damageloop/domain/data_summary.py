"""What the data looks like in numbers: light, sizes of boxes and classes, counted into fixed bins."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.annotation import Annotation, Verdict
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.split import Split

BRIGHTNESS_EDGES = tuple(float(edge) for edge in range(0, 257, 16))
CONTRAST_EDGES = tuple(float(edge) for edge in range(0, 129, 8))
# Each step doubles, near enough: most damages are small, and a linear scale would put them all into one bin.
AREA_EDGES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie between each two edges; what lies outside counts in the first or the last bin."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[float], edges: Sequence[float]) -> Histogram:
        """Return the histogram; a value on an edge belongs to the bin above it, the last edge to the last bin.

        `Histogram.of([0.0, 16.0, 300.0], (0.0, 16.0, 32.0)).counts == (1, 2)`
        """
        clipped = np.clip(np.asarray(values, dtype=np.float64), edges[0], edges[-1])
        found, _ = np.histogram(clipped, bins=np.asarray(edges, dtype=np.float64))
        return cls(tuple(edges), tuple(int(n) for n in found))


@dataclass(frozen=True, slots=True)
class Basis:
    """What numbers were counted in: everything there is, or part of it.

    Attributes:
        words: For people, such as `snapshot 7`, `all 240 images` or `a sample of 5,000 images`.
        is_exact: Everything was looked at.
    """

    words: str
    n_looked_at: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class ImageNumbers:
    """Images as they came. `n_images` counts all of them; unless the basis is exact it is near, not sure."""

    basis: Basis
    n_images: int
    by_split: Mapping[str, int]
    by_status: Mapping[str, int]
    brightness: Histogram
    contrast: Histogram
    sizes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class LabelNumbers:
    """Classes by split, as snapshots count them: images, clean ones, groups and boxes by class."""

    basis: Basis
    by_split: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ClassBoxes:
    """Boxes of one class; the median share of the image's area is None without a box."""

    n_boxes: int
    median_area_share: float | None
    area_share: Histogram


@dataclass(frozen=True, slots=True)
class BoxNumbers:
    """Boxes that people drew: how large a share of its image each takes. `verdicts` counts annotated images."""

    basis: Basis
    verdicts: Mapping[str, int]
    n_boxes: int
    area_share: Histogram
    by_class: Mapping[str, ClassBoxes]


@dataclass(frozen=True, slots=True)
class DataSummary:
    """All of it, with the findings of the newest snapshot's checks."""

    images: ImageNumbers
    labels: LabelNumbers
    boxes: BoxNumbers
    snapshot_id: int | None
    findings: tuple[Mapping[str, Any], ...]
    quarantined: Mapping[str, int]


def image_numbers(images: Sequence[Image], basis: Basis, n_images: int) -> ImageNumbers:
    """Return the numbers of images; forgotten ones have no light and count by their status alone."""
    known = [image for image in images if image.status is not ImageStatus.FORGOTTEN]
    quality = [image.stored.quality for image in known]
    sizes = Counter(f"{image.stored.width} x {image.stored.height}" for image in known)
    return ImageNumbers(
        basis=basis,
        n_images=n_images,
        by_split=_in_order(Counter(image.split.value for image in known), [split.value for split in Split]),
        by_status=_in_order(Counter(image.status.value for image in images), [status.value for status in ImageStatus]),
        brightness=Histogram.of([q.brightness for q in quality], BRIGHTNESS_EDGES),
        contrast=Histogram.of([q.contrast for q in quality], CONTRAST_EDGES),
        sizes=tuple(sizes.most_common(6)),
    )


def box_numbers(annotated: Iterable[tuple[Image, Annotation]], basis: Basis) -> BoxNumbers:
    """Return the numbers of what people drew, from each image's annotation that counts."""
    shares: dict[str, list[float]] = defaultdict(list)
    verdicts: Counter[str] = Counter()
    for image, annotation in annotated:
        verdicts[annotation.verdict.value] += 1
        for drawn in annotation.boxes:
            shares[drawn.damage_class].append(drawn.box.area / (image.stored.width * image.stored.height))
    everything = [share for part in shares.values() for share in part]
    return BoxNumbers(
        basis=basis,
        verdicts=_in_order(verdicts, [verdict.value for verdict in Verdict]),
        n_boxes=len(everything),
        area_share=Histogram.of(everything, AREA_EDGES),
        by_class={name: _class_boxes(part) for name, part in sorted(shares.items())},
    )


def counts_by_split(annotated: Iterable[tuple[Image, Annotation]]) -> dict[str, dict[str, Any]]:
    """Return what a snapshot would count of these, in its words."""
    found: dict[str, list[tuple[Image, Annotation]]] = {split.value: [] for split in Split}
    for image, annotation in annotated:
        if annotation.is_labeled and image.status is ImageStatus.ACTIVE:
            found[image.split.value].append((image, annotation))
    return {split: _counts(part) for split, part in found.items()}


def _counts(part: Sequence[tuple[Image, Annotation]]) -> dict[str, Any]:
    boxes = Counter(drawn.damage_class for _, annotation in part for drawn in annotation.boxes)
    return {
        "images": len(part),
        "clean": sum(annotation.verdict is Verdict.CLEAN for _, annotation in part),
        "groups": len({image.group for image, _ in part}),
        "boxes": dict(sorted(boxes.items())),
    }


def _class_boxes(shares: Sequence[float]) -> ClassBoxes:
    median = float(np.median(shares)) if shares else None
    return ClassBoxes(len(shares), median, Histogram.of(shares, AREA_EDGES))


def _in_order(counted: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """Return a count for every name, in this order."""
    return {name: counted.get(name, 0) for name in names}
