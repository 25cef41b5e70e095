"""Take in what annotators did: events are hints, the tool's own list is the truth.

The webhook is sent once and may be lost, doubled or late. So each look reads the tool itself (see `look_at_tool`), and
deletions are found by comparing lists of ids.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.annotation import SOURCE, Annotation
from damageloop.ports import AnnotationTool, Clock, ExternalReview, ToolIdentity
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.incomplete import ask_again
from damageloop.services.reviews.known_items import keep_answers, sort_out
from damageloop.services.reviews.look_at_tool import (
    CLOCK_TOLERANCE,
    FOREIGN,
    Known,
    Seen,
    look_at_tool,
    parse,
    remember_look,
)
from damageloop.services.reviews.opinion_states import end_answered, reopen_lost
from damageloop.services.reviews.restored_tool import remember_highest, stop_for_lost_edits, stop_for_restored_tool
from damageloop.services.snapshots.snapshot_stops import OTHER_TOOL, allow_accepted_deletions

logger = logging.getLogger(__name__)

IDENTITY = "annotation_tool.identity"
# While people submit all the time, one look takes in several reviews: each costs the tool some queries.
LOOK_PAUSE = timedelta(seconds=2)
# Without an event in the inbox a look is only for what a lost webhook did not tell.
LOOK_EVERY = timedelta(seconds=15)
LOOKED_AT = "reviews.looked_at"


@dataclass
class ReviewReport:
    """What one look found."""

    events: int = 0
    changed: int = 0
    deleted: int = 0
    reviewed_items: int = 0


@dataclass(frozen=True, slots=True)
class ReceiveReviews:
    """Reads reviews since the mark into the database; safe to run at any time, twice or at once."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    clock: Clock

    def if_due(self) -> ReviewReport | None:
        """Read everything new if an event says that there is something, or if the last look is a while ago."""
        now = self.clock.now()
        with self.units(read_only=True) as work:
            looked_at = parse(work.facts.get(LOOKED_AT))
            has_events = bool(work.inbox.unprocessed(limit=1))
        # A look in the future is one from before our own clock was set back.
        if looked_at and timedelta(0) <= now - looked_at < (LOOK_PAUSE if has_events else LOOK_EVERY):
            return None
        report = self()
        with self.units() as work:
            work.facts.set(LOOKED_AT, now.isoformat())
            work.commit()
        return report

    def __call__(self) -> ReviewReport:
        """Read everything new; from another or a restored tool nothing is taken in, and snapshots are stopped.

        Raises:
            UnavailableError: If the tool does not answer; nothing is lost, the mark stays.
        """
        if not self._is_same_tool():
            return ReviewReport()
        with self.units(read_only=True) as work:
            known = Known.read(work)
        return self._keep(look_at_tool(self.tool, known, self.clock.now()), known)

    def _keep(self, seen: Seen, known: Known) -> ReviewReport:
        report = ReviewReport(events=len(known.event_ids))
        now = self.clock.now()
        with self.units() as work:
            stored = work.annotations.by_external_ids(SOURCE, [review.external_id for review in seen.reviews])
            if _is_restored(work, seen, known, stored, now):
                work.commit()
                return ReviewReport()
            counting, answers = sort_out(work, seen.reviews)
            report.changed += keep_answers(work, [_to_annotation(answer) for answer in answers])
            for annotation in _to_take_in(work, replace(seen, reviews=counting), known, stored):
                report.changed += work.annotations.upsert(annotation, known_to=known.sequence)
            fresh = {review.external_id for review in seen.reviews}
            gone = sorted(known.external_ids - seen.existing - fresh)
            report.deleted = work.annotations.tombstone(SOURCE, gone)
            report.deleted += work.known_items.tombstone([*gone, *(review.external_id for review in counting)])
            allow_accepted_deletions(work)
            remember_highest(work, seen.existing, known.highest_id)
            report.reviewed_items = work.rounds.mark_reviewed(SOURCE)
            work.image_requests.end_reviewed(SOURCE, now)
            end_answered(work, now)
            reopen_lost(work, seen.lost_tasks)
            ask_again(work, {review.image_id for review in counting if review.is_blank}, now)
            work.inbox.mark_processed(known.event_ids, now)
            remember_look(work, seen, known, now)
            work.commit()
        return report

    def _is_same_tool(self) -> bool:
        """Remember the tool's identity at first sight; another one stops snapshots and is not read."""
        identity = self.tool.identity()
        with self.units() as work:
            known = work.facts.get(IDENTITY)
            if known is None:
                work.facts.set(IDENTITY, asdict(identity))
                work.commit()
                return True
            if known == asdict(identity):
                if work.facts.get(OTHER_TOOL):
                    work.facts.set(OTHER_TOOL, None)
                    work.commit()
                return True
            _stop_for_other_tool(work, known, identity)
            work.commit()
        return False


def _stop_for_other_tool(work: UnitOfWork, known: dict[str, Any], found: ToolIdentity) -> None:
    reason = (
        f"The Label Studio project is not the one this platform knows (project {known['project_id']} of "
        f"{known['project_created_at']}; found project {found.project_id} of {found.project_created_at}). "
        "Nothing is read from it, so that its empty list is not taken for deletions. Put the former Label Studio back "
        "from a backup (`damageloop restore`), and reading goes on by itself; a new project can't be taken over yet."
    )
    if work.facts.get(OTHER_TOOL) != reason:
        logger.error(reason)
        work.facts.set(OTHER_TOOL, reason)


def _is_restored(work: UnitOfWork, seen: Seen, known: Known, stored: Mapping[str, Annotation], now: datetime) -> bool:
    """Tell whether the tool seems to be restored from a backup, so that nothing is taken in from it."""
    if stop_for_restored_tool(work, seen.existing, known.external_ids, known.highest_id, now):
        return True
    lost = [r.external_id for r in seen.reviews if _went_back(r, stored.get(r.external_id), seen, known)]
    return not known.is_accepted and stop_for_lost_edits(work, lost, now)


def _went_back(review: ExternalReview, old: Annotation | None, seen: Seen, known: Known) -> bool:
    """Tell whether an annotation has other content and an earlier date than before, though the tool's clock is past it.

    While that clock is behind the known date it was set back, and a person has changed the annotation since.
    """
    if old is None or old.is_deleted or old.sequence > known.sequence:
        return False
    if review.updated_at >= old.updated_at - CLOCK_TOLERANCE:
        return False
    was_set_back = seen.tool_now is not None and seen.tool_now < old.updated_at
    return not was_set_back and _to_annotation(review).content_hash != old.content_hash


def _to_take_in(work: UnitOfWork, seen: Seen, known: Known, stored: Mapping[str, Annotation]) -> list[Annotation]:
    """Return what differs from what is stored, of images that we know, and remember what is of none."""
    images = {image.id for image in work.images.get_many(sorted({review.image_id for review in seen.reviews}))}
    foreign = seen.unreadable | {review.external_id for review in seen.reviews if review.image_id not in images}
    if foreign - known.foreign:
        # A task that a person made by hand must not keep everybody's work from being read.
        named = ", ".join(sorted(foreign)[:5])
        logger.warning("annotations of images that nobody imported are left out: %s", named)
        work.facts.set(FOREIGN, sorted((known.foreign | foreign) & seen.existing))
    found = [_to_annotation(review) for review in seen.reviews if review.image_id in images]
    return [annotation for annotation in found if annotation != stored.get(annotation.external_id)]


def _to_annotation(review: ExternalReview) -> Annotation:
    return Annotation(
        image_id=review.image_id,
        verdict=review.verdict,
        boxes=review.boxes,
        source=SOURCE,
        external_id=review.external_id,
        annotator=review.annotator,
        updated_at=review.updated_at,
        lead_time_s=review.lead_time_s,
        task_id=review.task_id,
        note=review.note,
    )
