"""Take in what annotators did: events are hints, the tool's own list is the truth.

The webhook is sent once and may be lost, doubled or late. So each look reads the tool from the mark on, and
deletions are found by comparing lists of ids.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.annotation import Annotation
from damageloop.ports import AnnotationTool, Clock, ExternalReview, ToolIdentity
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.restored_tool import HIGHEST_ID, remember_highest, stop_for_restored_tool
from damageloop.services.snapshot_stops import OTHER_TOOL, allow_accepted_deletions

logger = logging.getLogger(__name__)

SOURCE = "label-studio"
MARK = "reviews.mark"
IDENTITY = "annotation_tool.identity"
# Transactions end out of order: read again what lies this near to the mark. The tool's own clock sets the mark.
OVERLAP = timedelta(seconds=30)
# While people submit every few seconds, one look takes in several reviews: each costs the tool a query.
LOOK_PAUSE = timedelta(seconds=5)
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
class _Known:
    """What the database knew before the tool was asked: what others take in meanwhile must not look deleted."""

    event_ids: list[int]
    mark: datetime | None
    external_ids: set[str]
    highest_id: int | None


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
            looked_at = _parse(work.facts.get(LOOKED_AT))
            has_events = bool(work.inbox.unprocessed(limit=1))
        if looked_at and now - looked_at < (LOOK_PAUSE if has_events else LOOK_EVERY):
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
        known = self._known()
        reviews = list(self.tool.reviews_since(known.mark - OVERLAP if known.mark else None))
        existing = self.tool.review_ids()
        if self._came_back(existing - known.external_ids - {review.external_id for review in reviews}):
            reviews = list(self.tool.reviews_since(None))
        return self._keep(reviews, existing, known)

    def _known(self) -> _Known:
        with self.units(read_only=True) as work:
            return _Known(
                event_ids=[event.id for event in work.inbox.unprocessed()],
                mark=_parse(work.facts.get(MARK)),
                external_ids=work.annotations.external_ids(SOURCE),
                highest_id=work.facts.get(HIGHEST_ID),
            )

    def _came_back(self, unread: set[str]) -> bool:
        """Tell whether a deleted annotation exists again, as after a restored backup: its change is long past."""
        if not unread:
            return False
        with self.units(read_only=True) as work:
            return any(a.is_deleted and a.external_id in unread for a in work.annotations.all(SOURCE))

    def _keep(self, reviews: list[ExternalReview], existing: set[str], known: _Known) -> ReviewReport:
        report = ReviewReport(events=len(known.event_ids))
        with self.units() as work:
            if stop_for_restored_tool(work, existing, known.external_ids, known.highest_id, self.clock.now()):
                work.commit()
                return ReviewReport()
            for review in _of_known_images(work, reviews):
                report.changed += work.annotations.upsert(_to_annotation(review))
            fresh = {review.external_id for review in reviews}
            report.deleted = work.annotations.tombstone(SOURCE, sorted(known.external_ids - existing - fresh))
            allow_accepted_deletions(work)
            remember_highest(work, existing, known.highest_id)
            report.reviewed_items = work.rounds.mark_reviewed(SOURCE)
            work.image_requests.end_reviewed(SOURCE, self.clock.now())
            work.inbox.mark_processed(known.event_ids, self.clock.now())
            if reviews:
                newest = max(review.updated_at for review in reviews)
                work.facts.set(MARK, max(newest, known.mark or newest).isoformat())
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
        "Nothing is read from it, so that its empty list is not taken for deletions."
    )
    if work.facts.get(OTHER_TOOL) != reason:
        logger.error(reason)
        work.facts.set(OTHER_TOOL, reason)


def _of_known_images(work: UnitOfWork, reviews: list[ExternalReview]) -> list[ExternalReview]:
    known = {image.id for image in work.images.get_many(sorted({review.image_id for review in reviews}))}
    foreign = sorted(review.external_id for review in reviews if review.image_id not in known)
    if foreign:
        # A task that a person made by hand must not keep everybody's work from being read.
        logger.warning("annotations of images that nobody imported are left out: %s", ", ".join(foreign[:5]))
    return [review for review in reviews if review.image_id in known]


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
    )


def _parse(mark: Any) -> datetime | None:
    return datetime.fromisoformat(mark) if mark else None
