"""The numbers that a report about the data is made of: one row for each labeled image and each box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ReportRows:
    """What is drawn and summed up.

    Attributes:
        title: Which data it is, in words.
        images: `split`, `verdict`, `boxes`, `brightness`, `contrast`, `sharpness`, `megapixels` of each image.
        boxes: `split`, `damage_class`, `area_share`, `side_px` (geometric mean of both sides) of each box.
        group_sizes: How many groups have so many labeled images: photos of one car, joined with their near-duplicates.
        n_same_looks: Labeled images of whose perceptual hash there is another one.
    """

    title: str
    classes: tuple[str, ...]
    images: list[dict[str, Any]]
    boxes: list[dict[str, Any]]
    group_sizes: dict[int, int]
    n_same_looks: int
