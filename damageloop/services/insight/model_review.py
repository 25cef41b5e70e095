"""What the ML team asks about model versions: how good one is, where two differ, and what one takes for what."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from damageloop.domain.box_matching import Finding
from damageloop.domain.confusion import BACKGROUND, Cell, Confusion, KindTally, cells, confusion, tally
from damageloop.domain.image_kind import image_kinds
from damageloop.domain.model_difference import ImageDifference, difference
from damageloop.domain.promotion import Decision
from damageloop.domain.release import ReleaseManifest, with_current_names
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.browse import Page
from damageloop.services.insight.val_figures import (
    DifferenceRow,
    FigureRow,
    difference_rows,
    figure_rows,
    n_samples,
)
from damageloop.services.insight.val_images import JudgedImage, ValImages, ValLook

Kept = TypeVar("Kept")
Item = TypeVar("Item")

# Reports that are remembered: resampling thousands of images takes seconds.
_N_REPORTS = 16
ALL = "all"


@dataclass(frozen=True, slots=True)
class ValCounts:
    """Which val images a report is about.

    Attributes:
        images: That people have judged and every version of the report was run on.
        clean: Those without damage.
        unseen: Judged ones that one of the versions was never run on; they are left out.
        n_samples: Resamples of vehicles behind the limits.
    """

    images: int
    clean: int
    groups: int
    boxes: int
    unseen: int
    interval_level: float
    n_samples: int


@dataclass(frozen=True, slots=True)
class ValReport:
    """A version's figures on val."""

    counts: ValCounts
    rows: tuple[FigureRow, ...]


@dataclass(frozen=True, slots=True)
class DifferenceReport:
    """`gate`: what the gate said of these two, if it ever compared them, whichever of them was champion."""

    counts: ValCounts
    rows: tuple[DifferenceRow, ...]


@dataclass(frozen=True, slots=True)
class DifferingImage:
    """A val image on which two versions differ."""

    first: JudgedImage
    second: JudgedImage
    difference: ImageDifference


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What a version takes for what, and its errors by kind of photo; kinds that none or all photos are of left out."""

    counts: ValCounts
    thresholds: dict[str, float]
    confusion: Confusion
    kinds: dict[str, KindTally]


@dataclass
class ModelReview:
    """Answers from the predictions that are kept; runs no model, and looks at no test image.

    Attributes:
        params: Returns the parameters of the moment.
    """

    units: UnitOfWorkFactory
    releases: ReleaseStore
    val_images: ValImages
    params: Callable[[], Params]
    _reports: OrderedDict[tuple[str, ...], Any] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def release(self, version: int) -> ReleaseManifest:
        """Return what is released of a version, with classes as they are called now. Raises NotFoundError."""
        return with_current_names(self.releases.manifest(version), self.params().labels.former)

    def decisions(self, version: int) -> list[Decision]:
        """Return all decisions about a version, oldest first. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            work.models.get(version)
            return [decision for decision in work.models.decisions() if decision.challenger == version]

    def gate_about(self, first: int, second: int) -> Decision | None:
        """Return the gate's newest decision between two versions, whichever was the challenger; None without one."""
        with self.units(read_only=True) as work:
            found = [
                d for d in work.models.decisions() if d.is_by_gate and {d.champion, d.challenger} == {first, second}
            ]
        return found[-1] if found else None

    def figures(self, version: int) -> ValReport:
        """Return the figures of a version on val. Raises as `ValImages` does."""
        look, params = self.val_images(version), self.params()
        images = list(look.images.values())

        def make() -> ValReport:
            return ValReport(_counts(images, look.n_unseen, params), figure_rows(images, look.thresholds, params))

        return self._remembered(("figures", look.key, repr(params.gate)), make)

    def compare(self, first: int, second: int) -> DifferenceReport:
        """Return the figures of two versions on the val images that both were run on. Raises as `ValImages` does."""
        one, other, pairs = self._pairs(first, second)
        params = self.params()

        def make() -> DifferenceReport:
            mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
            rows = difference_rows(mine, one.thresholds, theirs, other.thresholds, params)
            return DifferenceReport(_counts(mine, _unseen(one, len(pairs)), params), rows)

        return self._remembered(("compare", one.key, other.key, repr(params.gate)), make)

    def differing_images(self, first: int, second: int, limit: int, after: int | None) -> Page[DifferingImage]:
        """Return the val images on which two versions differ, the greatest difference first.

        `after` is how many have been seen. Of equally many boxes the surer ones come first.
        """
        one, other, pairs = self._pairs(first, second)

        def make() -> list[DifferingImage]:
            found = [DifferingImage(a, b, difference(a.matched, b.matched)) for a, b in pairs]
            return sorted((item for item in found if item.difference.size), key=_greatest_first)

        return _part(self._remembered(("images", one.key, other.key), make), limit, after)

    def errors(self, version: int) -> ErrorReport:
        """Return what a version takes for what on val, at its working thresholds. Raises as `ValImages` does."""
        look, params = self.val_images(version), self.params()

        def make() -> ErrorReport:
            images = list(look.images.values())
            table = confusion((item.matched for item in images), params.labels.classes)
            return ErrorReport(
                _counts(images, look.n_unseen, params), dict(look.thresholds), table, _tallies(images, params)
            )

        return self._remembered(("errors", look.key, repr(params.serving.dark_brightness)), make)

    def images_of_cell(self, version: int, cell: Cell, limit: int, after: int | None) -> Page[JudgedImage]:
        """Return the val images of one cell of that table, those with most such boxes first.

        `after` is how many have been seen.

        Raises:
            InvalidInputError: If the table has no such row or column.
        """
        look = self.val_images(version)
        known = {*self.errors(version).confusion.classes, BACKGROUND}
        unknown = [name for name in cell if name not in known]
        if unknown:
            raise InvalidInputError(f"There is no class {unknown[0]!r}; there are {', '.join(sorted(known))}.")

        def make() -> list[JudgedImage]:
            counted = [(cells(item.matched).count(cell), item) for item in look.images.values()]
            of_cell = [(n, item) for n, item in counted if n]
            return [item for n, item in sorted(of_cell, key=lambda pair: (-pair[0], pair[1].image.id))]

        return _part(self._remembered(("cell", look.key, *cell), make), limit, after)

    def _pairs(self, first: int, second: int) -> tuple[ValLook, ValLook, list[tuple[JudgedImage, JudgedImage]]]:
        if first == second:
            raise InvalidInputError("Name two different versions: one does not differ from itself.")
        one, other = self.val_images(first), self.val_images(second)
        pairs = [(item, other.images[image_id]) for image_id, item in one.images.items() if image_id in other.images]
        if not pairs:
            raise ConflictError(f"No val image was seen by both version {first} and version {second}.")
        return one, other, pairs

    def _remembered(self, key: tuple[str, ...], make: Callable[[], Kept]) -> Kept:
        with self._lock:
            if key in self._reports:
                self._reports.move_to_end(key)
                known: Kept = self._reports[key]
                return known
        # Not under the lock: a report of many images would keep every other one waiting.
        made = make()
        with self._lock:
            self._reports[key] = made
            while len(self._reports) > _N_REPORTS:
                self._reports.popitem(last=False)
        return made


def _unseen(one: ValLook, n_pairs: int) -> int:
    return len(one.images) + one.n_unseen - n_pairs


def _counts(images: Sequence[JudgedImage], n_unseen: int, params: Params) -> ValCounts:
    return ValCounts(
        images=len(images),
        clean=sum(item.record.is_clean for item in images),
        groups=len({item.image.group for item in images}),
        boxes=sum(len(item.matched.truths) for item in images),
        unseen=n_unseen,
        interval_level=params.gate.confidence_level,
        n_samples=n_samples(len(images), params),
    )


def _tallies(images: Sequence[JudgedImage], params: Params) -> dict[str, KindTally]:
    kinds = image_kinds([item.image for item in images], params.serving.dark_brightness)
    found = {ALL: tally([item.matched for item in images])}
    for kind, ids in kinds.items():
        if 0 < len(ids) < len(images):
            found[kind.value] = tally([item.matched for item in images if item.image.id in ids])
    return found


def _greatest_first(item: DifferingImage) -> tuple[float, float, int]:
    return (-item.difference.size, -_surest(item), item.first.image.id)


def _surest(item: DifferingImage) -> float:
    """Return the highest confidence of the boxes that differ, found or wrong."""
    diff = item.difference
    sides = (
        (item.first.matched, diff.found_by_first, diff.wrong_of_first),
        (item.second.matched, diff.found_by_second, diff.wrong_of_second),
    )
    scores = [0.0]
    for matched, found, wrong in sides:
        shown = {m.detection for m in matched.matches if m.finding is Finding.FOUND and m.truth in found}
        scores += [matched.shown[i].confidence for i in (*wrong, *shown) if i is not None]
    return max(scores)


def _part(items: Sequence[Item], limit: int, after: int | None) -> Page[Item]:
    start = after or 0
    rest = items[start:]
    return Page(tuple(rest[:limit]), start + limit if len(rest) > limit else None)
