"""What annotators get next: everything that waits in the annotation tool, in the order in which it is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from damageloop.domain.image import Image
from damageloop.domain.image_request import RequestKind
from damageloop.domain.prediction import Detection
from damageloop.domain.round import ItemState, RoundItem, Share
from damageloop.domain.second_opinion import OpinionKind, OpinionState, SecondOpinion, place_of
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.second_opinions import shown_version
from damageloop.services.rounds.pre_annotations import visible


class QueueKind(StrEnum):
    """`rework`: sent back, served first. `round`: of an open round. `opinion`: a second look, mixed in."""

    REWORK = "rework"
    ROUND = "round"
    OPINION = "opinion"


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What to list: images that meet everything that is given.

    Attributes:
        damage_class: The annotator is shown a box of it; images with hidden pre-labels are never found by it.
        min_score: Lowest of the scores of the boxes that the annotator is shown.
    """

    damage_class: str | None = None
    share: Share | None = None
    vehicle: str | None = None
    min_score: float | None = None

    @property
    def asks_for_boxes(self) -> bool:
        return self.damage_class is not None or self.min_score is not None

    def is_met_by(self, entry: QueueEntry) -> bool:
        """Tell whether an entry is to be listed."""
        shown = [d for d in entry.shown if self.damage_class in {None, d.damage_class}]
        return (
            self.share in {None, entry.share}
            and self.vehicle in {None, entry.image.vehicle}
            and (not self.asks_for_boxes or any(d.confidence >= (self.min_score or 0.0) for d in shown))
        )


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One task that waits.

    Attributes:
        place: From 1, of the whole queue.
        rank_score: What the tool orders by, the lowest first.
        shown: Pre-labels that the annotator sees; none where they are hidden, and none told of a rework.
    """

    place: int
    image: Image
    kind: QueueKind
    reason: str
    rank_score: float
    task_id: int | None
    round_id: int | None = None
    share: Share | None = None
    expected_seconds: float | None = None
    shown: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue or the part of it that was asked for.

    Attributes:
        n_waiting: Length of the whole queue.
        n_pinned: Images that somebody pinned and that come with the next round.
    """

    entries: tuple[QueueEntry, ...]
    n_waiting: int
    n_pinned: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    image_id: int
    kind: QueueKind
    reason: str
    rank_score: float
    task_id: int | None
    item: RoundItem | None = None
    round_id: int | None = None


@dataclass(frozen=True, slots=True)
class ShowQueue:
    """Reads the queue as the platform has ordered it; what somebody drafts on is still in it."""

    units: UnitOfWorkFactory
    params: Params

    def __call__(self, wanted: QueueFilter | None = None, limit: int | None = None) -> Queue:
        """Return the first `limit` tasks that meet the filter; all when it is None."""
        asked = wanted or QueueFilter()
        with self.units(read_only=True) as work:
            waiting = _waiting(work)
            entries = self._entries(work, waiting, asked, limit)
            pins = [r for r in work.image_requests.active([RequestKind.PIN]) if r.round_id is None]
        return Queue(tuple(entries), len(waiting), len(pins))

    def _entries(
        self, work: UnitOfWork, waiting: Sequence[_Waiting], asked: QueueFilter, limit: int | None
    ) -> list[QueueEntry]:
        images = {image.id: image for image in work.images.get_many(sorted({w.image_id for w in waiting}))}
        shown = self._shown(work, waiting if asked.asks_for_boxes else [], images)
        found = []
        for place, part in enumerate(waiting, start=1):
            entry = _entry(place, part, images[part.image_id], shown.get(part.image_id, ()))
            if asked.is_met_by(entry):
                found.append((part, entry))
            if len(found) == limit:
                break
        boxes = shown or self._shown(work, [part for part, _ in found], images)
        return [_entry(e.place, part, e.image, boxes.get(part.image_id, ())) for part, e in found]

    def _shown(
        self, work: UnitOfWork, waiting: Sequence[_Waiting], images: Mapping[int, Image]
    ) -> dict[int, tuple[Detection, ...]]:
        """Return what annotators see of tasks that show what a model says: never of a held-out image."""
        open_ = [w for w in waiting if w.kind is not QueueKind.REWORK and images[w.image_id].split is Split.TRAIN]
        predictions = work.predictions.of_version(shown_version(work), sorted({w.image_id for w in open_}))
        return {
            w.image_id: visible(predictions[w.image_id].detections, w.item, self.params)
            for w in open_
            if w.image_id in predictions
        }


def _waiting(work: UnitOfWork) -> list[_Waiting]:
    """Return all tasks that wait, in the order in which they are served; a tie goes to the older task."""
    found = []
    for opened in work.rounds.unclosed():
        items = work.rounds.items(opened.id)
        for item in items:
            if item.state is ItemState.SENT:
                score = (item.rank + 1) / (len(items) + 1)
                parts = (item.image_id, QueueKind.ROUND, item.reason, score, item.task_id, item, opened.id)
                found.append(_Waiting(*parts))
    found += _second_tasks(work)
    return sorted(found, key=lambda w: (w.rank_score, w.task_id or 0))


def _second_tasks(work: UnitOfWork) -> list[_Waiting]:
    # Items whose answer is known are left out: whoever lists the queue may also be an annotator.
    told = {OpinionKind.REWORK: QueueKind.REWORK, OpinionKind.OPINION: QueueKind.OPINION}
    opinions = [o for o in work.second_opinions.all([OpinionState.SENT]) if o.kind in told]
    hashes = {image.id: image.sha256 for image in work.images.get_many(sorted({o.image_id for o in opinions}))}

    def score(opinion: SecondOpinion) -> float:
        return 0.0 if opinion.kind is OpinionKind.REWORK else place_of(hashes[opinion.image_id])

    return [
        _Waiting(o.image_id, told[o.kind], f"{o.reason} (asked by {o.asked_by})", score(o), o.task_id) for o in opinions
    ]


def _entry(place: int, part: _Waiting, image: Image, shown: tuple[Detection, ...]) -> QueueEntry:
    item = part.item
    return QueueEntry(
        place=place,
        image=image,
        kind=part.kind,
        reason=part.reason,
        rank_score=part.rank_score,
        task_id=part.task_id,
        round_id=part.round_id,
        share=item.share if item else None,
        expected_seconds=item.expected_seconds if item else None,
        shown=shown,
    )
