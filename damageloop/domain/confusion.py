"""What a model takes for what: a table of true classes and shown ones, and its errors by kind of photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from damageloop.domain.box_matching import Finding, MatchedImage

# The row of false alarms and the column of misses: the part of a photo where nothing is.
BACKGROUND = "background"

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Boxes by what they are and what the model shows.

    Attributes:
        classes: Rows and columns before the last one, which is `BACKGROUND`.
        counts: Boxes by (true class, shown class); a cell that is not there is 0.
        images: Images by cell.
    """

    classes: tuple[str, ...]
    counts: Mapping[Cell, int]
    images: Mapping[Cell, int]

    def rows(self) -> tuple[tuple[int, ...], ...]:
        """Return the counts, a row for each true class, the last one of false alarms."""
        names = (*self.classes, BACKGROUND)
        return tuple(tuple(self.counts.get((truth, shown), 0) for shown in names) for truth in names)


@dataclass(frozen=True, slots=True)
class KindTally:
    """What a model made of one kind of photo.

    Attributes:
        images: Photos of the kind.
        wrong_images: Those with at least one error.
        boxes: True boxes.
        findings: Boxes by what became of them.
    """

    images: int
    wrong_images: int
    boxes: int
    findings: Mapping[Finding, int]


def cells(image: MatchedImage) -> tuple[Cell, ...]:
    """Return (true class, shown class) of every match of an image; `BACKGROUND` stands where there is no box."""
    return tuple(
        (
            BACKGROUND if match.truth is None else image.truths[match.truth].damage_class,
            BACKGROUND if match.detection is None else image.shown[match.detection].damage_class,
        )
        for match in image.matches
    )


def confusion(images: Iterable[MatchedImage], classes: Sequence[str]) -> Confusion:
    """Return the table of all images. A class beside `classes` that somebody drew or a model shows stands after them.

    One scratch that is found, one that is shown as a dent and a false dent: row scratch is (1, 1, 0), row background
    (0, 1, 0).
    """
    counts, n_images = Counter[Cell](), Counter[Cell]()
    for image in images:
        found = cells(image)
        counts.update(found)
        n_images.update(set(found))
    named = {name for cell in counts for name in cell} - {BACKGROUND}
    return Confusion((*classes, *sorted(named - set(classes))), dict(counts), dict(n_images))


def tally(images: Sequence[MatchedImage]) -> KindTally:
    """Return the counts of these images."""
    findings = Counter(match.finding for image in images for match in image.matches)
    wrong = sum(any(match.finding is not Finding.FOUND for match in image.matches) for image in images)
    boxes = sum(len(image.truths) for image in images)
    return KindTally(len(images), wrong, boxes, {finding: findings[finding] for finding in Finding})
