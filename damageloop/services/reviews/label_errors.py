"""What becomes of doubtful annotations: listed, put before a human again, and settled by what the human did."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from damageloop.domain.annotation import Annotation
from damageloop.domain.correction import Gesture, corrections
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.image_request import RequestOrigin
from damageloop.domain.job import Job
from damageloop.domain.label_error import UNDECIDED_STATES, LabelError, LabelErrorState, settled_state
from damageloop.domain.prediction import Detection
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.request_images import RequestImages
from damageloop.services.insight.browse import Page
from damageloop.services.loop.ledger import Ledger
from damageloop.services.reviews.find_label_errors import search_request
from damageloop.services.reviews.resolve_annotations import resolve_annotations

# Who looks at a held-out image again must not be led by what a model sees in it.
_NEUTRAL_REASON = "a second look at the annotation"


@dataclass(frozen=True, slots=True)
class ListedLabelError:
    """A doubt as people see it. Of a held-out image reason and detections stay hidden until it is decided."""

    error: LabelError
    reason: str | None
    detections: tuple[Detection, ...] | None


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Lists doubts, has them looked at again, and asks for a search."""

    units: UnitOfWorkFactory
    requests: RequestImages
    ledger: Ledger
    params: Params

    def page(
        self, limit: int, after: int | None, states: Collection[LabelErrorState] = UNDECIDED_STATES
    ) -> Page[ListedLabelError]:
        """Return doubts of these states, the greatest first; `after` is the id of the last one seen.

        Raises:
            InvalidInputError: If that one is gone: a newer search did not share it.
        """
        with self.units(read_only=True) as work:
            try:
                found = work.label_errors.page(states, limit + 1, after)
            except NotFoundError as exc:
                raise InvalidInputError(f"{exc} The list has changed: begin at its first page.") from exc
            part = found[:limit]
            images = {image.id: image for image in work.images.get_many([error.image_id for error in part])}
        listed = tuple(_listed(error, images[error.image_id]) for error in part)
        return Page(listed, part[-1].id if len(found) > limit else None)

    def search(self) -> Job:
        """Ask for a search in the newest snapshot. Raises ConflictError before the first one."""
        with self.units() as work:
            job = self.ledger.request_within(work, search_request(work))
            work.commit()
        return job

    def send(self, n_max: int, asked_by: str) -> list[int]:
        """Ask for a second look at the `n_max` most doubtful open annotations; return the image ids.

        Sending again sends the next ones. A crash on the way costs nothing: what is asked for already is not doubled.

        Raises:
            InvalidInputError: If `n_max` is below 1.
        """
        if n_max < 1:
            raise InvalidInputError("At least one label error must be sent.")
        self.settle()
        sent: list[int] = []
        for error, image in self._open():
            if len(sent) == n_max:
                break
            if image.id not in sent:
                reason = error.reason if image.split is Split.TRAIN else _NEUTRAL_REASON
                self.requests.send_back(image.id, reason, asked_by, RequestOrigin.LABEL_CHECK)
                sent.append(image.id)
            with self.units() as work:
                work.label_errors.set_state(error.id, LabelErrorState.QUEUED)
                work.commit()
        return sent

    def settle(self) -> int:
        """Bring every undecided doubt up to what annotations and requests say now; return how many moved."""
        with self.units(read_only=True) as work:
            if not _moves(work, self.params):
                return 0
        with self.units() as work:
            moves = _moves(work, self.params)
            for error, state in moves:
                work.label_errors.set_state(error.id, state)
            work.commit()
        return len(moves)

    def _open(self) -> list[tuple[LabelError, Image]]:
        with self.units(read_only=True) as work:
            found = work.label_errors.all([LabelErrorState.OPEN])
            images = {image.id: image for image in work.images.get_many([error.image_id for error in found])}
        pairs = [(error, images[error.image_id]) for error in found]
        return [(error, image) for error, image in pairs if image.status is ImageStatus.ACTIVE]


def _moves(work: UnitOfWork, params: Params) -> list[tuple[LabelError, LabelErrorState]]:
    errors = work.label_errors.all(UNDECIDED_STATES)
    if not errors:
        return []
    # Of these images alone, and all requests at once: the loop asks every few seconds.
    image_ids = sorted({error.image_id for error in errors})
    counting = resolve_annotations(work, params, image_ids)
    known = {(a.image_id, a.content_hash): a for a in work.annotations.of_images(image_ids)}
    requests = {request.image_id: request for request in work.image_requests.active()}
    states = [settled_state(e, _as_judged(e, counting, known), requests.get(e.image_id)) for e in errors]
    return [(error, state) for error, state in zip(errors, states, strict=True) if state is not error.state]


def _as_judged(
    error: LabelError, counting: Mapping[int, Annotation], known: Mapping[tuple[int, str], Annotation]
) -> Annotation | None:
    """Return what counts for the image; where that says again what was doubted, the annotation that was doubted.

    An answer in a second task is an annotation of its own, and the tool rounds the corners of boxes that nobody moved.
    """
    now, doubted = counting.get(error.image_id), known.get((error.image_id, error.annotation_hash))
    if now is None or doubted is None or now.verdict is not doubted.verdict:
        return now
    is_same = all(gesture is Gesture.ACCEPTED for gesture, _ in corrections(doubted.boxes, now.boxes))
    return doubted if is_same else now


def _listed(error: LabelError, image: Image) -> ListedLabelError:
    if image.split is not Split.TRAIN and error.state in UNDECIDED_STATES:
        return ListedLabelError(error, None, None)
    return ListedLabelError(error, error.reason, error.detections)
