"""Take remarks about answers, for the people who review images. What they do with them is theirs: see `page`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from damageloop.domain.feedback import Feedback, FeedbackKind
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.evidence_log import EvidenceLog

MAX_NOTE_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class TakeFeedback:
    """Keeps each remark once, with the model version that gave the answer."""

    units: UnitOfWorkFactory
    evidence: EvidenceLog
    clock: Clock

    def __call__(self, request_id: str, kind: FeedbackKind, note: str, api_key_id: int) -> Feedback:
        """Keep a remark and return it; the same remark by the same key again is the one of before.

        Args:
            request_id: Of a prediction, or the id of a valuation.
            kind: What was wrong.
            note: For people; may be empty.
            api_key_id: Who says so.

        Raises:
            NotFoundError: If nothing is known of such an answer, or no longer.
            InvalidInputError: If the note is too long or holds control characters.
        """
        if len(note) > MAX_NOTE_LENGTH or not all(map(_is_text, note)):
            raise InvalidInputError(f"note takes up to {MAX_NOTE_LENGTH:,} characters, and no control characters.")
        version = self._model_version(request_id)
        with self.units() as work:
            kept = work.feedback.add(request_id, version, kind, note, api_key_id, self.clock.now())
            work.commit()
        return kept

    def page(self, limit: int, after: int | None) -> Sequence[Feedback]:
        """Return at most `limit` remarks, oldest first, after the one with this id: a cursor for whoever follows."""
        with self.units(read_only=True) as work:
            return work.feedback.page(limit, after)

    def _model_version(self, request_id: str) -> int:
        try:
            return int(self.evidence.get(request_id)["answer"]["model_version"])
        except NotFoundError:
            pass
        try:
            with self.units(read_only=True) as work:
                return int(work.valuations.get(request_id)["answer"]["model_version"])
        except NotFoundError as exc:
            raise NotFoundError(f"There is no answer {request_id}, or it is no longer kept.") from exc


def _is_text(character: str) -> bool:
    # `isprintable` would refuse the space that does not break, and joined emoji.
    return character in "\n\r\t" or unicodedata.category(character) not in ("Cc", "Cs")
