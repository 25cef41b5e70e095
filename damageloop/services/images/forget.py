"""Forget images for good: what was asked for is written down first, and then done place by place.

One transaction marks the images, empties their rows and adds a redaction record to each. From then on nothing chooses,
shows, imports or trains on them. A job clears the places outside the database, each by itself: one that does not answer
delays no other, and a crash loses nothing, since every step may be done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.image import Image, ImageStatus, store_key
from damageloop.domain.job import JobKind
from damageloop.domain.redaction import Redaction
from damageloop.errors import DamageloopError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import AnnotationTool, Clock, FeatureStore, ImageStore, JobContext, MapStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.request_images import MAX_REASON_LENGTH

logger = logging.getLogger(__name__)

# What one job clears at most, and what one transaction does: the database takes so many numbers in one question.
AT_ONCE = 300
# A place that did not answer is asked again after this.
TRY_AGAIN_AFTER = timedelta(minutes=2)
FORGET_KEY = JobKind.FORGET.value
_TRAINING_KINDS = frozenset({JobKind.TRAIN_CHALLENGER, JobKind.SWEEP, JobKind.FIND_LABEL_ERRORS})
_FEATURES, _TOOL = "features", "annotation tool"
# Jobs that were under way when an image was forgotten may still write of it: their place is cleared once more after.
_WRITERS: Mapping[str, frozenset[JobKind]] = {
    _FEATURES: frozenset({JobKind.SCORE_POOL, JobKind.DESCRIBE_POOL, JobKind.EMBED_CROPS, JobKind.DECIDE_PROMOTION}),
    _TOOL: frozenset({JobKind.OPEN_ROUND, JobKind.SECOND_OPINIONS, JobKind.RENEW_PRE_ANNOTATIONS}),
}

# Removes the copies of an image by its hash from the folders of trainings; returns how many files went.
ForgetCopies = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class ForgetPreview:
    """What forgetting would take away.

    Attributes:
        image_ids: What was asked for, and images with the same bytes.
        look_alikes: Other images of the same groups: near-duplicates or further photos of the car, which stay.
        snapshots: Git tags of snapshots, which stay and get a redaction for each image that they name.
    """

    image_ids: tuple[int, ...]
    images_by_split: dict[str, int]
    annotations: int
    look_alikes: tuple[int, ...]
    snapshots: tuple[str, ...]
    already_forgotten: int


def _nobody() -> None:
    """Wake no one: the loop turns by itself every few seconds."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Writes down what shall be forgotten; asking twice changes nothing. `nudge` is called after the commit."""

    units: UnitOfWorkFactory
    clock: Clock
    nudge: Callable[[], None] = _nobody

    def preview(self, image_ids: Sequence[int] = (), vehicle: str | None = None) -> ForgetPreview:
        """Return what would go. Raises NotFoundError for an unknown image or vehicle."""
        with self.units(read_only=True) as work:
            images = _meant(work, image_ids, vehicle)
            ids = {image.id for image in images}
            groups = sorted({image.group for image in images if image.status is not ImageStatus.FORGOTTEN})
            others = [i.id for i in work.images.of_groups(groups) if i.id not in ids]
            annotations = len(work.annotations.of_images(sorted(ids)))
            tags = tuple(snapshot.git_tag for snapshot in work.snapshots.all())
        splits = [image.split.value for image in images]
        return ForgetPreview(
            image_ids=tuple(sorted(ids)),
            images_by_split={split: splits.count(split) for split in sorted(set(splits))},
            annotations=annotations,
            look_alikes=tuple(others),
            snapshots=tags,
            already_forgotten=sum(image.status is ImageStatus.FORGOTTEN for image in images),
        )

    def __call__(
        self, reason: str, asked_by: str, image_ids: Sequence[int] = (), vehicle: str | None = None
    ) -> list[Redaction]:
        """Forget images, or all images of a vehicle; return their redactions, also of those forgotten before.

        Raises:
            NotFoundError: If there is no such image or vehicle.
            InvalidInputError: If no reason is given.
        """
        words = reason.strip()
        if not 1 <= len(words) <= MAX_REASON_LENGTH:
            raise InvalidInputError(f"A reason of 1 to {MAX_REASON_LENGTH} characters is needed.")
        with self.units() as work:
            images = _meant(work, image_ids, vehicle)
            due = [image for image in images if image.status is not ImageStatus.FORGOTTEN]
            for start in range(0, len(due), AT_ONCE):
                self._redact(work, due[start : start + AT_ONCE], words, asked_by)
            if due:
                # Neither the vehicle's key nor a file name: the audit outlives what it tells of.
                subject = f"image {due[0].id}" if len(due) == 1 else f"{len(due)} images"
                detail = {"image_ids": [image.id for image in due], "reason": words}
                work.audit.add(asked_by, "forget", subject, detail, self.clock.now())
                work.after_commit(self.nudge)
            found = [work.redactions.of_image(image.id) for image in images]
            work.commit()
        return [redaction for redaction in found if redaction is not None]

    def _redact(self, work: UnitOfWork, images: Sequence[Image], reason: str, asked_by: str) -> None:
        now, ids = self.clock.now(), [image.id for image in images]
        for image in images:
            stored = image.stored
            work.redactions.add(image.id, stored.sha256, stored.source_sha256, stored.extension, reason, asked_by, now)
        work.redactions.clear_rows(ids, now)
        work.annotations.forget(ids)
        work.known_items.forget(ids)


@dataclass(frozen=True, slots=True)
class ForgetEverywhere:
    """Clears the places outside the database of what redactions name; safe to repeat.

    Attributes:
        load_tool: Returns the annotation tool; called when a job first needs it, so that its absence stops no other
            place.
    """

    units: UnitOfWorkFactory
    store: ImageStore
    features: FeatureStore
    maps: MapStore
    load_tool: Callable[[], AnnotationTool]
    forget_copies: ForgetCopies
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Do what is still to be done for the oldest unfinished redactions; tell what is left, by place."""
        with self.units(read_only=True) as work:
            due = work.redactions.unfinished()[:AT_ONCE]
        left = self._clear(due, context)
        finished = [r for r in due if not any(r.id in ids for ids in left.values())]
        with self.units() as work:
            for redaction in finished:
                work.redactions.finish(redaction.id, self.clock.now())
            work.commit()
        return {"forgotten": len(finished), "left": {place: len(ids) for place, ids in left.items()}}

    def again(self) -> int:
        """Clear again what another process may have brought back since; return how many redactions that is.

        An import that was under way when an image was forgotten may finish after it.
        """
        with self.units(read_only=True) as work:
            done = [r for r in work.redactions.all() if r.finished_at is not None]
        for redaction in done:
            self.store.forget(_key(redaction))
        if done:
            self.features.forget(_ids(done))
            self.load_tool().forget(_ids(done))
        return len(done)

    def _clear(self, due: Sequence[Redaction], context: JobContext) -> dict[str, set[int]]:
        """Return the redactions that each place could not do now."""
        places: dict[str, Callable[[Sequence[Redaction]], None]] = {
            "image store": self._bytes,
            _FEATURES: lambda part: _ignore(self.features.forget(_ids(part))),
            "embedding maps": lambda part: _ignore(self.maps.forget(_ids(part))),
            "training folders": self._copies,
            _TOOL: lambda part: _ignore(self.load_tool().forget(_ids(part))),
        }
        left: dict[str, set[int]] = {}
        for number, (place, clear) in enumerate(places.items()):
            context.progress(number / len(places), f"forgetting {len(due)} images: {place}")
            waiting = [redaction for redaction in due if place not in redaction.done]
            try:
                if waiting:
                    clear(waiting)
                    self._refuse_writers(waiting, _WRITERS.get(place, frozenset()))
                    self._note(waiting, place)
            except DamageloopError as exc:
                logger.warning("%d images are not forgotten in: %s: %s", len(waiting), place, exc)
                left[place] = {redaction.id for redaction in waiting}
        return left

    def _refuse_writers(self, redactions: Sequence[Redaction], kinds: frozenset[JobKind]) -> None:
        newest = max(redaction.created_at for redaction in redactions)
        with self.units(read_only=True) as work:
            active = [job for job in work.jobs.active() if job.kind in kinds]
        if writers := [job for job in active if job.started_at and job.started_at <= newest]:
            raise UnavailableError(f"Job {writers[0].id} began before and may write of them; it is looked at again.")

    def _bytes(self, redactions: Sequence[Redaction]) -> None:
        for redaction in redactions:
            self.store.forget(_key(redaction))

    def _copies(self, redactions: Sequence[Redaction]) -> None:
        with self.units(read_only=True) as work:
            running = [job for job in work.jobs.active() if job.kind in _TRAINING_KINDS]
        if running:
            # A training whose photos vanish would fail as a whole; it is waited for.
            raise UnavailableError(f"Job {running[0].id} is training; the copies of photos go when it ends.")
        for redaction in redactions:
            self.forget_copies(redaction.sha256)

    def _note(self, redactions: Sequence[Redaction], place: str) -> None:
        moment = self.clock.now().isoformat()
        with self.units() as work:
            for redaction in redactions:
                work.redactions.note(redaction.id, {place: moment})
            work.commit()


def is_forget_due(n_unfinished: int, last_ended_at: datetime | None, now: datetime) -> bool:
    """Tell whether the job is due: at once, and after one that left something when a while has passed."""
    return n_unfinished > 0 and (last_ended_at is None or now - last_ended_at >= TRY_AGAIN_AFTER)


def _meant(work: UnitOfWork, image_ids: Sequence[int], vehicle: str | None) -> list[Image]:
    images = [work.images.get(image_id) for image_id in image_ids]
    if vehicle is not None:
        found = work.images.of_vehicle(vehicle)
        if not found:
            raise NotFoundError("There is no image of that vehicle.")
        images += found
    ids = sorted({image.id for image in images})
    together: dict[int, Image] = {}
    for start in range(0, len(ids), AT_ONCE):
        together |= {image.id: image for image in work.images.with_bytes_of(ids[start : start + AT_ONCE])}
    return [together[image_id] for image_id in sorted(together)]


def _key(redaction: Redaction) -> str:
    return store_key(redaction.sha256, redaction.extension)


def _ids(redactions: Sequence[Redaction]) -> list[int]:
    return [redaction.image_id for redaction in redactions]


def _ignore(_: object) -> None:
    """Return nothing: how much went is of no use here."""
