"""A version's figures on val with limits, and the difference of two versions on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from damageloop.domain.evaluation import FloatArray
from damageloop.domain.gate_rules import Figure, Slice
from damageloop.domain.image_kind import ImageKind, image_kinds
from damageloop.domain.judged_rule import rounded
from damageloop.domain.measurements import MIN_GROUPS_OF_INTERVAL, Measured, Measurements, limits
from damageloop.domain.resampling import group_weights, interval
from damageloop.params import Params
from damageloop.services.insight.val_images import JudgedImage

# Weights of all resamples are held at once: 32 MB of them.
_MAX_WEIGHTS = 4_000_000
_MIN_SAMPLES = 100


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure of one version.

    Attributes:
        part: `all`, or a kind of photo, or `small_boxes`.
        damage_class: None: of all classes.
        threshold: The class's working threshold where the figure depends on it; None for the others, and for all
            classes, each of which is judged at its own.
        value: None where it has no meaning.
        low: None where it has none, or too few vehicles stand behind it.
        count: True boxes, shown boxes or clean photos that it rests on.
    """

    part: str
    damage_class: str | None
    figure: Figure
    threshold: float | None
    value: float | None
    low: float | None
    high: float | None
    count: int
    groups: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One figure of two versions; `difference` is the first minus the second, with limits of the same resamples."""

    part: str
    damage_class: str | None
    figure: Figure
    first: float | None
    second: float | None
    first_threshold: float | None
    second_threshold: float | None
    difference: float | None
    low: float | None
    high: float | None
    count: int
    groups: int


@dataclass(frozen=True, slots=True)
class _Asked:
    part: str
    damage_class: str | None
    figure: Figure
    classes: tuple[str, ...]


def n_samples(n_images: int, params: Params) -> int:
    """Return how many resamples are drawn: those of the gate, fewer where there are very many images."""
    return min(params.gate.bootstrap_samples, max(_MIN_SAMPLES, _MAX_WEIGHTS // max(1, n_images)))


def figure_rows(
    images: Sequence[JudgedImage], thresholds: Mapping[str, float], params: Params
) -> tuple[FigureRow, ...]:
    """Return the figures of one version: of all photos, by class, and by kind of photo."""
    model = _measurements(images, thresholds, _weights(images, params), params)
    level = params.gate.confidence_level
    rows = []
    for asked in _asked(images, tuple(thresholds), params):
        found = limits(model.measure(asked.figure, asked.part, asked.classes), level)
        rows.append(FigureRow(asked.part, asked.damage_class, asked.figure, _threshold(asked, thresholds), **found))
    return tuple(rows)


def difference_rows(
    first: Sequence[JudgedImage],
    first_thresholds: Mapping[str, float],
    second: Sequence[JudgedImage],
    second_thresholds: Mapping[str, float],
    params: Params,
) -> tuple[DifferenceRow, ...]:
    """Return the figures of two versions side by side, for classes that both know.

    Args:
        first: Its images, the same and in the same order as those of `second`.
    """
    weights = _weights(first, params)
    one = _measurements(first, first_thresholds, weights, params)
    other = _measurements(second, second_thresholds, weights, params)
    shared = tuple(name for name in first_thresholds if name in second_thresholds)
    rows = []
    for asked in _asked(first, shared, params):
        a, b = (model.measure(asked.figure, asked.part, asked.classes) for model in (one, other))
        gap, low, high = _difference(a, b, params.gate.confidence_level)
        rows.append(
            DifferenceRow(
                part=asked.part,
                damage_class=asked.damage_class,
                figure=asked.figure,
                first=rounded(a.value) if a.count else None,
                second=rounded(b.value) if b.count else None,
                first_threshold=_threshold(asked, first_thresholds),
                second_threshold=_threshold(asked, second_thresholds),
                difference=gap,
                low=low,
                high=high,
                count=min(a.count, b.count),
                groups=min(a.n_groups, b.n_groups),
            )
        )
    return tuple(rows)


def _difference(a: Measured, b: Measured, level: float) -> tuple[float | None, float | None, float | None]:
    if not (a.count and b.count):
        return None, None, None
    is_enough = min(a.n_groups, b.n_groups) >= MIN_GROUPS_OF_INTERVAL
    low, high = (interval(a.resampled - b.resampled, level) if is_enough else None) or (None, None)
    return rounded(a.value - b.value), rounded(low), rounded(high)


def _weights(images: Sequence[JudgedImage], params: Params) -> FloatArray:
    return group_weights([i.record.group for i in images], n_samples(len(images), params), params.gate.seed)


def _measurements(
    images: Sequence[JudgedImage], thresholds: Mapping[str, float], weights: FloatArray, params: Params
) -> Measurements:
    kinds = image_kinds([item.image for item in images], params.serving.dark_brightness)
    slices = {kind.value: frozenset(str(image_id) for image_id in ids) for kind, ids in kinds.items()}
    records = [item.record for item in images]
    return Measurements(records, thresholds, weights, slices, params.gate.small_box_area_share)


def _asked(images: Sequence[JudgedImage], classes: tuple[str, ...], params: Params) -> list[_Asked]:
    """Return which figures are worth a row.

    A class without a true box anywhere has no recall and no average precision; what is shown of it counts as false. A
    kind that all photos are of would be the whole again, and one that none is of tells nothing.
    """
    present = tuple(name for name in classes if any(item.record.truth_counts.get(name) for item in images))

    def of(figure: Figure) -> tuple[str, ...]:
        return classes if figure is Figure.PRECISION else present

    kinds = image_kinds([item.image for item in images], params.serving.dark_brightness)
    seen = [kind for kind in ImageKind if 0 < len(kinds[kind]) < len(images)]
    by_class = (Figure.RECALL, Figure.PRECISION, Figure.MAP50, Figure.MAP50_95)
    return [
        *(_Asked(Slice.ALL, None, figure, of(figure)) for figure in Figure),
        *(_Asked(Slice.ALL, name, figure, (name,)) for name in classes for figure in by_class),
        _Asked(Slice.SMALL_BOXES, None, Figure.RECALL, present),
        *(_Asked(kind, None, figure, of(figure)) for kind in seen for figure in Figure),
    ]


def _threshold(asked: _Asked, thresholds: Mapping[str, float]) -> float | None:
    depends = asked.figure in (Figure.RECALL, Figure.PRECISION)
    return rounded(thresholds.get(asked.damage_class)) if depends and asked.damage_class else None
