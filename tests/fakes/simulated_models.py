"""Models that never were: records with a known recall, rate of false alarms and weakness, for the gate to judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from damageloop.domain.evaluation import IOU_THRESHOLDS, FloatArray, ImageEvaluation
from damageloop.domain.gate_rules import Slice

CLASSES = ("scratch", "dent")
THRESHOLDS = dict.fromkeys(CLASSES, 0.5)
PHOTOS_PER_CAR = 3
SMALL, LARGE = 0.005, 0.05
# A box found at IoU 0.5 is found at this share of the ten overlaps.
_OVERLAPS = 7
# How far two models fail on the same boxes, and raise false alarms on the same photos.
_CORRELATION = 0.5
_PLACES_FOR_ALARMS = 4
_normal = NormalDist()


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """What is true of a model.

    Attributes:
        recall: At its working threshold of 0.5, of large boxes on bright photos.
        alarms: False alarms at that threshold for each photo, in the mean.
        lost_small: By how much its recall is lower on small boxes; `lost_dark` likewise on dark photos.
        lost_by_class: Likewise for single classes.
    """

    recall: float
    alarms: float
    lost_small: float = 0.0
    lost_dark: float = 0.0
    lost_by_class: dict[str, float] = field(default_factory=dict)

    def recall_of(self, damage_class: str, is_small: bool, is_dark: bool) -> float:
        lost = self.lost_by_class.get(damage_class, 0.0) + self.lost_small * is_small + self.lost_dark * is_dark
        return max(1e-6, self.recall - lost)


@dataclass(frozen=True, slots=True)
class SimulatedPhotos:
    """Each model's records of the same photos, and which photos are dark."""

    records: tuple[list[ImageEvaluation], ...]
    slices: dict[Slice, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Photo:
    name: str
    car: str
    is_dark: bool
    boxes: tuple[tuple[str, bool], ...]
    hardness: FloatArray
    temptation: FloatArray


def simulate(
    seed: int, n_cars: int, models: tuple[SimulatedModel, ...], clean_share: float = 0.4, dark_share: float = 0.15
) -> SimulatedPhotos:
    """Return what models say of photos of so many cars; two models are right and wrong together about half the time."""
    rng = np.random.default_rng(seed)
    photos = [
        _photo(rng, car, view, clean_share, dark_share) for car in range(n_cars) for view in range(PHOTOS_PER_CAR)
    ]
    dark = frozenset(photo.name for photo in photos if photo.is_dark)
    return SimulatedPhotos(
        tuple([_record(rng, model, photo) for photo in photos] for model in models),
        {Slice.DARK: dark, Slice.BRIGHT: frozenset(photo.name for photo in photos) - dark},
    )


def _photo(rng: np.random.Generator, car: int, view: int, clean_share: float, dark_share: float) -> _Photo:
    n_boxes = 0 if rng.random() < clean_share else 1 + rng.poisson(0.8)
    boxes = tuple((CLASSES[int(rng.integers(len(CLASSES)))], bool(rng.random() < 0.4)) for _ in range(n_boxes))
    is_dark = bool(rng.random() < dark_share)
    return _Photo(
        f"{car}-{view}", f"car-{car}", is_dark, boxes, rng.normal(size=n_boxes), rng.normal(size=_PLACES_FOR_ALARMS)
    )


def _record(rng: np.random.Generator, model: SimulatedModel, photo: _Photo) -> ImageEvaluation:
    found = [
        (
            name,
            _confidence(_luck(rng, hard), model.recall_of(name, is_small, photo.is_dark)),
            SMALL if is_small else LARGE,
        )
        for (name, is_small), hard in zip(photo.boxes, photo.hardness, strict=True)
    ]
    for tempting in photo.temptation:
        confidence = _confidence(_luck(rng, tempting), model.alarms / _PLACES_FOR_ALARMS)
        found.append((CLASSES[int(rng.integers(len(CLASSES)))], confidence, float("nan")))
    found.sort(key=lambda detection: -detection[1])
    shares = np.array([share for _, _, share in found], dtype=np.float64)
    overlaps = np.arange(len(IOU_THRESHOLDS)) < _OVERLAPS
    sizes = {name: tuple(SMALL if s else LARGE for n, s in photo.boxes if n == name) for name, _ in photo.boxes}
    return ImageEvaluation(
        image=photo.name,
        group=photo.car,
        truth_counts=dict(Counter(name for name, _ in photo.boxes)),
        classes=tuple(name for name, _, _ in found),
        confidences=np.array([confidence for _, confidence, _ in found], dtype=np.float64),
        hits=~np.isnan(shares)[:, None] & overlaps[None, :],
        truth_shares=sizes,
        hit_shares=shares,
    )


def _luck(rng: np.random.Generator, common: float) -> float:
    """Return a uniform number that models share in part."""
    own = float(rng.normal())
    return _normal.cdf(_CORRELATION**0.5 * common + (1.0 - _CORRELATION) ** 0.5 * own)


def _confidence(luck: float, share: float) -> float:
    """Return a confidence that is above 0.5 with probability `share`."""
    return 1.0 - 0.5 * luck / share if luck < share else 0.5 * (1.0 - luck) / (1.0 - share)
