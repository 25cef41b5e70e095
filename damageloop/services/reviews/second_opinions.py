"""Put images before a second person: a second task of each, since the annotation tool serves none with an answer.

An image that was sent back is a rework: served first, with its annotation as it is as pre-label. A share of all
reviewed images is drawn for another opinion: mixed into the queue, with the champion's pre-labels like any other image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from damageloop.domain.image import ImageStatus
from damageloop.domain.image_request import RequestKind
from damageloop.domain.second_opinion import OPEN_STATES, OpinionKind, OpinionState, SecondOpinion, is_drawn
from damageloop.params import Params
from damageloop.ports import AnnotationTool, Clock, JobContext, TaskDraft
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.known_items import draw_known_items, rounds_to_draw_for
from damageloop.services.reviews.opinion_drafts import opinion_drafts
from damageloop.services.rounds.pre_annotations import NO_MODEL, PreAnnotationSender
from damageloop.services.rounds.renew_pre_annotations import RENEWED

# Up to which change reviewed images were drawn from.
DRAWN_TO = "second_opinions.drawn_to"
# Who asks for the share of `annotation.second_opinion_share`.
DRAW = "the draw"
# Changes without a drawn image that may pile up before the draw's mark is moved past them.
MARK_LAG = 1000


@dataclass(frozen=True, slots=True)
class WantedOpinion:
    """An opinion that is not written down yet."""

    image_id: int
    kind: OpinionKind
    reason: str
    asked_by: str


@dataclass(frozen=True, slots=True)
class OpinionsDue:
    """What there is to do about second opinions.

    Attributes:
        wanted: Not written down yet.
        to_send: Pending ones whose turn it is.
        to_withdraw: Open ones that nobody wants any more: the request was replaced, or the image is set aside.
        drawn_to: The draw has looked at all changes up to this one.
        n_waiting: How many wait for a human.
        known_rounds: Open rounds that known items are to be drawn for.
    """

    wanted: tuple[WantedOpinion, ...]
    to_send: tuple[SecondOpinion, ...]
    to_withdraw: tuple[SecondOpinion, ...]
    drawn_to: int
    n_waiting: int
    is_mark_due: bool = False
    known_rounds: tuple[int, ...] = ()

    @property
    def key(self) -> str | None:
        """Return what names the work, so that what failed is tried again when it has changed; None without work."""
        parts = (
            sorted((each.image_id, each.kind.value) for each in self.wanted),
            [each.id for each in self.to_send],
            [each.id for each in self.to_withdraw],
            self.known_rounds,
        )
        if not any(parts) and not self.is_mark_due:
            return None
        return hashlib.sha256(repr((parts, self.drawn_to if self.is_mark_due else 0)).encode()).hexdigest()[:16]


def opinions_due(work: UnitOfWork, params: Params) -> OpinionsDue:
    """Return what there is to do about second opinions now; reads little, for the loop asks every few seconds."""
    open_ = work.second_opinions.all(OPEN_STATES)
    requests = {request.image_id: request for request in work.image_requests.active()}
    sent_back = {i: r for i, r in requests.items() if r.kind is RequestKind.SEND_BACK}
    skipped = {i for i, r in requests.items() if r.kind is RequestKind.SKIP}
    images = {i.id: i for i in work.images.get_many(sorted({o.image_id for o in open_} | sent_back.keys()))}
    active = {image_id for image_id, image in images.items() if image.status is ImageStatus.ACTIVE} - skipped

    def is_wanted(opinion: SecondOpinion) -> bool:
        return opinion.image_id in active and (opinion.kind is not OpinionKind.REWORK or opinion.image_id in sent_back)

    under_way = {o.image_id for o in open_ if o.kind is OpinionKind.REWORK}
    rework = [
        WantedOpinion(image_id, OpinionKind.REWORK, request.reason, request.asked_by)
        for image_id, request in sent_back.items()
        if image_id in active - under_way
    ]
    drawn, is_mark_due = _drawn(work, params)
    alive = [opinion for opinion in open_ if is_wanted(opinion)]
    return OpinionsDue(
        wanted=(*rework, *drawn),
        to_send=tuple(_next(work, alive, params)),
        to_withdraw=tuple(opinion for opinion in open_ if not is_wanted(opinion)),
        drawn_to=work.annotations.sequence(),
        n_waiting=sum(opinion.state is OpinionState.SENT for opinion in alive),
        is_mark_due=is_mark_due,
        known_rounds=tuple(part.id for part in rounds_to_draw_for(work, params)),
    )


@dataclass(frozen=True, slots=True)
class SecondOpinions:
    """Writes down, sends and withdraws second opinions; a crash at any line is made good by running it again."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    sender: PreAnnotationSender
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Do what is due now, whatever the inputs say: they only name the work."""
        written = self._write_down()
        with self.units(read_only=True) as work:
            due = opinions_due(work, self.params)
        withdrawn = self._withdraw(due.to_withdraw)
        context.progress(0.3, f"sending {len(due.to_send)} second opinions to Label Studio")
        return {"written": written, "withdrawn": withdrawn, "sent": self._send(due.to_send)}

    def _write_down(self) -> int:
        with self.units() as work:
            due = opinions_due(work, self.params)
            for wanted in due.wanted:
                work.second_opinions.add(wanted.image_id, wanted.kind, wanted.reason, wanted.asked_by, self.clock.now())
            if self.params.annotation.second_opinion_share:
                work.facts.set(DRAWN_TO, due.drawn_to)
            n_known = draw_known_items(work, self.params, self.clock.now())
            work.commit()
        return len(due.wanted) + n_known

    def _withdraw(self, opinions: Sequence[SecondOpinion]) -> int:
        """Take untouched tasks out of the tool; one that somebody works on stays, and its answer is taken in."""
        if not opinions:
            return 0
        # The tool itself leaves tasks alone that hold work.
        self.tool.withdraw([opinion.task_id for opinion in opinions if opinion.task_id is not None])
        with self.units() as work:
            for opinion in opinions:
                work.second_opinions.end(opinion.id, OpinionState.WITHDRAWN, self.clock.now())
            work.commit()
        return len(opinions)

    def _send(self, opinions: Sequence[SecondOpinion]) -> int:
        """Give each opinion its task with pre-labels, and then write the task down.

        A task that a run before this one made is found again: it is of the image, and no row knows it.
        """
        if not opinions:
            return 0
        with self.units(read_only=True) as work:
            images = work.images.get_many(sorted({opinion.image_id for opinion in opinions}))
            known = _known_tasks(work, [image.id for image in images])
        of_image = {opinion.image_id: opinion for opinion in opinions}
        # Only a rework says why it comes: an opinion must look like any other task.
        notes = {o.image_id: o.reason for o in opinions if o.kind is OpinionKind.REWORK}
        wanted = [TaskDraft(i.id, i.store_key, i.size_wh, notes.get(i.id, "")) for i in images]
        tasks = self.tool.import_second_tasks(wanted, known)
        sent = [replace(opinion, task_id=tasks[image_id]) for image_id, opinion in of_image.items()]
        with self.units(read_only=True) as work:
            version = shown_version(work)
            drafts = opinion_drafts(work, self.params, version, sent)
        self.sender.deliver(version, drafts)
        with self.units() as work:
            for opinion in sent:
                work.second_opinions.set_task(opinion.id, tasks[opinion.image_id])
            work.commit()
        return len(sent)


def shown_version(work: UnitOfWork) -> int:
    """Return the version by whose scores the tool orders its queue: that of the open tasks, else the champion's."""
    champion = work.models.champion()
    return work.facts.get(RENEWED) or (champion.model_version if champion else NO_MODEL)


def _drawn(work: UnitOfWork, params: Params) -> tuple[list[WantedOpinion], bool]:
    """Return what is drawn of images reviewed since the draw before, and whether its mark lags far behind."""
    share = params.annotation.second_opinion_share
    if not share:
        return [], False
    mark = int(work.facts.get(DRAWN_TO) or 0)
    changed = work.annotations.labeled_since(mark)
    drawn = [i for i in work.images.get_many(changed) if i.status is ImageStatus.ACTIVE and is_drawn(i.sha256, share)]
    known = {opinion.image_id for opinion in work.second_opinions.of_images([image.id for image in drawn])}
    reason = f"one of the {share:.0%} of reviewed images that a second person looks at"
    wanted = [WantedOpinion(image.id, OpinionKind.OPINION, reason, DRAW) for image in drawn if image.id not in known]
    return wanted, work.annotations.sequence() - mark > MARK_LAG


def _next(work: UnitOfWork, alive: Sequence[SecondOpinion], params: Params) -> list[SecondOpinion]:
    """Return the pending opinions to send: one of an image at a time, and of the drawn ones a few.

    Else the first day with a share would put thousands of them before the round's own images.
    """
    n_most = max(1, round(params.annotation.second_opinion_share * params.round.query_size))
    n_drawn = sum(o.asked_by == DRAW for o in alive if o.state is OpinionState.SENT)
    busy = {o.image_id for o in alive if o.state is OpinionState.SENT}
    found: list[SecondOpinion] = []
    pending = [o for o in alive if o.state is OpinionState.PENDING]
    # A task that is just being made for a round is not known yet, and would be taken for the second one.
    busy |= _being_sent(work) if pending else set()
    for opinion in pending:
        if opinion.image_id in busy or (opinion.asked_by == DRAW and n_drawn >= n_most):
            continue
        n_drawn += opinion.asked_by == DRAW
        busy.add(opinion.image_id)
        found.append(opinion)
    return found


def _being_sent(work: UnitOfWork) -> set[int]:
    return {
        item.image_id
        for opened in work.rounds.unclosed()
        for item in work.rounds.items(opened.id)
        if item.task_id is None
    }


def _known_tasks(work: UnitOfWork, image_ids: Sequence[int]) -> set[int]:
    opinions = work.second_opinions.of_images(image_ids)
    return work.rounds.tasks_of(image_ids) | {o.task_id for o in opinions if o.task_id is not None}
