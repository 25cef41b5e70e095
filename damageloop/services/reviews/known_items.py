"""Known items: drawn with each round, and their answers kept apart from labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from damageloop.domain.annotation import SOURCE, Annotation
from damageloop.domain.known_item import TrustedTruth, n_known, start_of, trusted
from damageloop.domain.round import Round, RoundState
from damageloop.domain.second_opinion import OpinionKind
from damageloop.params import Params
from damageloop.ports import ExternalReview
from damageloop.ports.persistence import UnitOfWork

# The last round that known items were drawn for.
DRAWN_FOR = "known_items.round"
# The same words as those of a drawn second opinion would tell them apart from nothing else; nobody is shown them.
REASON = "a known item"
# Candidates looked at for each item wanted: not every image that was looked at twice is agreed on.
_TRIES = 10


def rounds_to_draw_for(work: UnitOfWork, params: Params) -> list[Round]:
    """Return open rounds, oldest first, that have no known items yet; reads next to nothing without a share."""
    if not params.annotation.known_item_share:
        return []
    drawn_for = int(work.facts.get(DRAWN_FOR) or 0)
    return [r for r in work.rounds.unclosed() if r.state is RoundState.OPEN and r.id > drawn_for]


def draw_known_items(work: UnitOfWork, params: Params, now: datetime) -> int:
    """Write down the known items of open rounds; return how many. The caller commits.

    A round looks behind a hash of its number for images whose truth is trusted, and from the first hash on after the
    last: each is a known item once in its life.
    """
    count = 0
    for part in rounds_to_draw_for(work, params):
        wanted = n_known(params.annotation.known_item_share, part.id, len(work.rounds.items(part.id)))
        for truth in _found(work, params, part.id, wanted):
            annotation = truth.annotation
            work.second_opinions.add(annotation.image_id, OpinionKind.KNOWN, REASON, REASON, now, annotation.id)
            count += 1
        work.facts.set(DRAWN_FOR, part.id)
    return count


def _found(work: UnitOfWork, params: Params, round_id: int, wanted: int) -> list[TrustedTruth]:
    """Return the first trusted truths behind the round's hash, from the lowest hash on again after the highest."""
    found: dict[int, TrustedTruth] = {}
    for after in (start_of(round_id), ""):
        if len(found) >= wanted:
            break
        image_ids = work.known_items.candidates(after, _TRIES * wanted, params.annotation.reviewers)
        truths = trusted_truths(work, params, image_ids)
        found |= {image_id: truths[image_id] for image_id in image_ids if image_id in truths}
    return list(found.values())[:wanted]


def trusted_truths(work: UnitOfWork, params: Params, image_ids: Sequence[int]) -> dict[int, TrustedTruth]:
    """Return the truth of those of the images that have a trusted one, by image id."""
    section = params.annotation
    found: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in work.annotations.live(image_ids):
        found[annotation.image_id].append(annotation)
    truths = {i: trusted(all_, section.reviewers, section.consensus_iou) for i, all_ in found.items()}
    return {image_id: truth for image_id, truth in truths.items() if truth is not None}


def sort_out(work: UnitOfWork, reviews: Sequence[ExternalReview]) -> tuple[list[ExternalReview], list[ExternalReview]]:
    """Return reviews that count, and answers of known items.

    A task that is just being made for a known item is in no row yet: what is said in it is in neither list, so that
    it is never taken for a label, and is read again at the next look.
    """
    opinions = work.second_opinions.of_images(sorted({review.image_id for review in reviews}))
    known = {o.task_id for o in opinions if o.kind is OpinionKind.KNOWN and o.task_id is not None}
    unsent = {o.image_id for o in opinions if o.kind is OpinionKind.KNOWN and o.task_id is None}
    tasks = work.rounds.tasks_of(sorted(unsent)) if unsent else set()
    tasks |= {o.task_id for o in opinions if o.task_id is not None}
    unclear = {r.external_id for r in reviews if r.image_id in unsent and r.task_id not in tasks}
    answers = [review for review in reviews if review.task_id in known]
    counting = [r for r in reviews if r.task_id not in known and r.external_id not in unclear]
    return counting, answers


def keep_answers(work: UnitOfWork, answers: Sequence[Annotation]) -> int:
    """Store answers of known items, and nothing of them as labels; return how many are new or differ."""
    ids = [answer.external_id for answer in answers]
    # Of a restored annotation tool that gives its numbers anew.
    work.annotations.tombstone(SOURCE, ids)
    return sum(work.known_items.upsert(answer) for answer in answers)
