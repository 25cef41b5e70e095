"""Figures about people's work, for coaching: by annotator in the order of their names, never ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from damageloop.domain.annotation import Annotation
from damageloop.domain.correction import Corrections, Gesture
from damageloop.domain.inter_annotator import Alpha, alpha_with_limits
from damageloop.domain.known_item import compared, shared_boxes
from damageloop.domain.quality import Difference, QualityShare, Tally, difference, share_of
from damageloop.domain.resolution import STATEMENTS
from damageloop.domain.round import Share
from damageloop.errors import NotFoundError
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.reviews.quality_reading import (
    NEWEST,
    KnownAnswer,
    Work,
    known_answers,
    newest_work,
    shared_photos,
)

Shared = tuple[str, list[Annotation]]
_SUGGESTED = (Gesture.ACCEPTED, Gesture.EDITED, Gesture.REJECTED)


@dataclass(frozen=True, slots=True)
class KnownFigures:
    """Answers of known items: damaged or not as in the truth, true boxes found, drawn boxes that are true."""

    verdict_right: QualityShare
    found: QualityShare
    drawn_right: QualityShare


@dataclass(frozen=True, slots=True)
class Rates:
    """What became of pre-labels that were shown; `added`: share of the boxes left that no pre-label suggested."""

    name: str
    accepted: QualityShare
    edited: QualityShare
    deleted: QualityShare
    added: QualityShare


@dataclass(frozen=True, slots=True)
class AgreementFigures:
    """Agreement of people on the same photo; `box_f1` is the share of boxes that both drew."""

    verdict_alpha: Alpha
    same_verdict: QualityShare
    box_f1: QualityShare


@dataclass(frozen=True, slots=True)
class AutomationBias:
    """Answers beside pre-labels that were shown (explored photos) and that were hidden (audited ones), both random.

    Attributes:
        same_shown: Photos answered as the champion suggested, with the suggestion shown.
        same_hidden: The same with the suggestion hidden.
        added_shown: Share of drawn damages that the champion had not suggested, where its suggestions were shown.
        added_hidden: The same where they were hidden.
    """

    same_shown: QualityShare
    same_hidden: QualityShare
    same_difference: Difference
    added_shown: QualityShare
    added_hidden: QualityShare
    added_difference: Difference


@dataclass(frozen=True, slots=True)
class AnnotatorQuality:
    """One person's figures."""

    annotator: str
    photos: int
    known: KnownFigures
    agreement: AgreementFigures
    rates: Rates
    automation_bias: AutomationBias


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Everybody's figures together, and each person's.

    Attributes:
        newest: The figures are about so many of the newest annotations at most.
        by_annotator: In the order of their names.
    """

    newest: int
    known: KnownFigures
    agreement: AgreementFigures
    by_class: tuple[Rates, ...]
    automation_bias: AutomationBias
    by_annotator: tuple[AnnotatorQuality, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Reads the newest work and counts; changes nothing."""

    units: UnitOfWorkFactory
    params: Callable[[], Params]

    def __call__(self) -> QualityReport:
        """Return all figures."""
        params = self.params()
        with self.units(read_only=True) as work:
            newest = work.known_items.newest_annotations(NEWEST)
            done, shared = newest_work(work, params, newest), shared_photos(work, newest)
            known = known_answers(work, params)
        return report_of(done, shared, known, params)

    def of(self, annotator: str) -> AnnotatorQuality:
        """Return one person's figures. Raises NotFoundError where nothing of theirs is among the newest work."""
        for found in self().by_annotator:
            if found.annotator == annotator:
                return found
        raise NotFoundError(f"Nothing of {annotator} is among the newest {NEWEST} annotations.")


def report_of(
    done: Sequence[Work], shared: Sequence[Shared], known: Sequence[KnownAnswer], params: Params
) -> QualityReport:
    """Return the report on what was read."""
    min_iou = params.annotation.consensus_iou
    gestures = _gestures(done)
    people = {w.annotation.annotator for w in done} | {a.annotator for _, said in shared for a in said}
    return QualityReport(
        newest=NEWEST,
        known=_known(known, min_iou),
        agreement=_agreement(shared, min_iou),
        by_class=tuple(_rates(name, gestures, name) for name in sorted(params.labels.classes)),
        automation_bias=_automation_bias(done),
        by_annotator=tuple(
            _person(name, done, shared, known, min_iou)
            for name in sorted(people | {answer.answer.annotator for answer in known})
        ),
    )


def _person(
    name: str, done: Sequence[Work], shared: Sequence[Shared], known: Sequence[KnownAnswer], min_iou: float
) -> AnnotatorQuality:
    own = [w for w in done if w.annotation.annotator == name]
    with_others = [(group, said) for group, said in shared if any(a.annotator == name for a in said)]
    return AnnotatorQuality(
        annotator=name,
        photos=len(own),
        known=_known([answer for answer in known if answer.answer.annotator == name], min_iou),
        agreement=_agreement(with_others, min_iou, name),
        rates=_rates(name, _gestures(own), None),
        automation_bias=_automation_bias(own),
    )


def _known(answers: Sequence[KnownAnswer], min_iou: float) -> KnownFigures:
    said = [each for each in answers if each.answer.verdict in STATEMENTS]
    pairs = [(each, compared(each.answer, each.truth.annotation, min_iou)) for each in said]
    return KnownFigures(
        share_of(Tally(each.group, c.is_verdict_right, 1) for each, c in pairs),
        share_of(Tally(each.group, c.found, c.found + c.missed) for each, c in pairs),
        share_of(Tally(each.group, c.found, c.found + c.extra) for each, c in pairs),
    )


def _agreement(shared: Sequence[Shared], min_iou: float, name: str | None = None) -> AgreementFigures:
    """Return agreement between all pairs of people, or between one person and the others."""
    said = [(group, [a for a in people if a.verdict in STATEMENTS]) for group, people in shared]
    pairs = [
        (group, one, other)
        for group, people in said
        for one, other in combinations(people, 2)
        if name is None or name in (one.annotator, other.annotator)
    ]
    boxes = [(group, shared_boxes(a, b, min_iou), len(a.boxes) + len(b.boxes)) for group, a, b in pairs]
    return AgreementFigures(
        alpha_with_limits([[a.verdict.value for a in people] for _, people in said], [group for group, _ in said]),
        share_of(Tally(group, one.verdict is other.verdict, 1) for group, one, other in pairs),
        share_of(Tally(group, 2 * both, of) for group, both, of in boxes),
    )


def _gestures(done: Iterable[Work]) -> list[tuple[str, Corrections]]:
    return [(w.group, w.corrections) for w in done if not w.is_hidden]


def _rates(name: str, gestures: Sequence[tuple[str, Corrections]], damage_class: str | None) -> Rates:
    def count(found: Corrections, gesture: Gesture) -> int:
        return sum(n for (g, c), n in found.items() if g is gesture and damage_class in (None, c))

    def of_suggested(gesture: Gesture) -> QualityShare:
        return share_of(Tally(g, count(c, gesture), sum(count(c, each) for each in _SUGGESTED)) for g, c in gestures)

    left = (Gesture.ACCEPTED, Gesture.EDITED, Gesture.DRAWN)
    added = share_of(Tally(g, count(c, Gesture.DRAWN), sum(count(c, each) for each in left)) for g, c in gestures)
    accepted, edited, deleted = (of_suggested(gesture) for gesture in _SUGGESTED)
    return Rates(name, accepted, edited, deleted, added)


def _automation_bias(done: Sequence[Work]) -> AutomationBias:
    shown = [w for w in done if w.item.share is Share.EXPLORED]
    hidden = [w for w in done if w.is_hidden]
    same = [share_of(Tally(w.group, _is_as_suggested(w), 1) for w in part) for part in (shown, hidden)]
    added = [share_of(_added(w) for w in part) for part in (shown, hidden)]
    return AutomationBias(
        same[0], same[1], difference(same[0], same[1]), added[0], added[1], difference(added[0], added[1])
    )


def _is_as_suggested(done: Work) -> bool:
    return all(gesture is Gesture.ACCEPTED for gesture, _ in done.loose_corrections)


def _added(done: Work) -> Tally:
    drawn = sum(n for (gesture, _), n in done.loose_corrections.items() if gesture is Gesture.DRAWN)
    return Tally(done.group, drawn, len(done.annotation.boxes))
