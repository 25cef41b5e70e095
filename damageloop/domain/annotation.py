"""What a human said of one image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from damageloop.domain.geometry import Box


class Verdict(StrEnum):
    """What an annotation says of the whole image.

    `incomplete` is a submit without boxes and without a choice: it never counts as "no damage".
    """

    DAMAGED = "damaged"
    CLEAN = "clean"
    UNUSABLE = "unusable"
    SKIPPED = "skipped"
    INCOMPLETE = "incomplete"


# Verdicts that a snapshot takes and a model learns from.
LABELED_VERDICTS = frozenset({Verdict.DAMAGED, Verdict.CLEAN})


@dataclass(frozen=True, slots=True)
class LabeledBox:
    """One damage that a human drew or confirmed."""

    damage_class: str
    box: Box


@dataclass(frozen=True, slots=True)
class Annotation:
    """One human's work on one image.

    Attributes:
        source: `import` or `label-studio`.
        external_id: The number that the source gives it; unique within the source.
        lead_time_s: Seconds of human work, where the tool measured them.
        updated_at: When the source changed it last (the source's clock).
        is_deleted: Tombstone: the source no longer has it.
    """

    image_id: int
    verdict: Verdict
    boxes: tuple[LabeledBox, ...]
    source: str
    external_id: str
    annotator: str
    updated_at: datetime
    lead_time_s: float | None = None
    is_deleted: bool = False
    id: int | None = field(default=None, compare=False)

    @property
    def is_labeled(self) -> bool:
        return self.verdict in LABELED_VERDICTS and not self.is_deleted

    @property
    def content_hash(self) -> str:
        """Return a hash of what was said, whoever said it and when: the same work twice changes nothing."""
        boxes = sorted((b.damage_class, *(round(float(v), 3) for v in b.box.as_tuple())) for b in self.boxes)
        text = json.dumps([self.verdict.value, boxes, self.is_deleted])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ImportedTruth:
    """Boxes that come with a photo; none means that somebody looked and found no damage."""

    boxes: tuple[LabeledBox, ...]
