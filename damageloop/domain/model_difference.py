"""Where two models differ on one image: damages that one alone finds, and false alarms that one alone raises."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.domain.box_matching import Finding, MatchedImage, overlapping_pairs


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """What differs on one image. True boxes and shown ones are named by their index.

    Attributes:
        found_by_first: True boxes that the first model finds and the second does not.
        wrong_of_first: Boxes that the first model shows wrongly and the second does not show there under that name.
    """

    found_by_first: tuple[int, ...]
    found_by_second: tuple[int, ...]
    wrong_of_first: tuple[int, ...]
    wrong_of_second: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return how many boxes differ; 0 where both answer alike."""
        parts = (self.found_by_first, self.found_by_second, self.wrong_of_first, self.wrong_of_second)
        return sum(len(part) for part in parts)


def difference(first: MatchedImage, second: MatchedImage) -> ImageDifference:
    """Return where two models differ on the same image and the same true boxes.

    A box under a wrong class is a wrong box and leaves its damage unfound. Two wrong boxes of one class that overlap by
    at least IoU 0.5 are the same error of both, and no difference.
    """
    found = [{m.truth for m in image.matches if m.finding is Finding.FOUND} for image in (first, second)]
    wrong_of_first, wrong_of_second = _wrong(first), _wrong(second)
    alike = [
        (wrong_of_first[a], wrong_of_second[b])
        for name in {first.shown[i].damage_class for i in wrong_of_first}
        for a, b in _alike(first, second, wrong_of_first, wrong_of_second, name)
    ]
    places = range(len(first.truths))
    return ImageDifference(
        tuple(i for i in places if i in found[0] and i not in found[1]),
        tuple(i for i in places if i in found[1] and i not in found[0]),
        tuple(i for i in wrong_of_first if i not in {a for a, _ in alike}),
        tuple(i for i in wrong_of_second if i not in {b for _, b in alike}),
    )


def _wrong(image: MatchedImage) -> list[int]:
    kinds = (Finding.WRONG_CLASS, Finding.FALSE_ALARM)
    return sorted(m.detection for m in image.matches if m.detection is not None and m.finding in kinds)


def _alike(
    first: MatchedImage, second: MatchedImage, of_first: list[int], of_second: list[int], name: str
) -> list[tuple[int, int]]:
    """Return the pairs of places in both lists that are the same wrong box of this class."""
    mine = [place for place, i in enumerate(of_first) if first.shown[i].damage_class == name]
    theirs = [place for place, i in enumerate(of_second) if second.shown[i].damage_class == name]
    pairs = overlapping_pairs(
        [first.shown[of_first[p]].box for p in mine], [second.shown[of_second[p]].box for p in theirs]
    )
    return [(mine[a], theirs[b]) for a, b in pairs]
