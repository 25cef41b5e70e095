"""What a human said of one image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from damageloop.domain.geometry import Box
from damageloop.domain.labels import FormerNames

# The source of what people did in the annotation tool.
SOURCE = "label-studio"


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
    """One damage that a human drew or confirmed.

    Attributes:
        severity: How bad the annotator called it; None where nobody was asked or said.
    """

    damage_class: str
    box: Box
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """One human's work on one image.

    Attributes:
        source: `import` or `label-studio`.
        external_id: The number that the source gives it; unique within the source.
        lead_time_s: Seconds of human work, where the tool measured them.
        updated_at: When the source changed it last (the source's clock).
        is_deleted: Tombstone: the source no longer has it.
        task_id: The source's task that it was made in; None where there is none or it was not noted yet.
        note: Why the image was skipped or can't be used, in the annotator's words.
        sequence: Number of the change by which the platform learned its content; orders what different clocks date.
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
    task_id: int | None = None
    note: str | None = None
    sequence: int = field(default=0, compare=False)

    @property
    def is_labeled(self) -> bool:
        return self.verdict in LABELED_VERDICTS and not self.is_deleted

    @property
    def content_hash(self) -> str:
        """Return a hash of what was said, whoever said it and when: the same work twice changes nothing."""
        boxes = sorted(_content(box) for box in self.boxes)
        text = json.dumps([self.verdict.value, boxes, self.is_deleted])
        return hashlib.sha256(text.encode()).hexdigest()


def _content(box: LabeledBox) -> tuple[str | float, ...]:
    corners = (round(float(v), 3) for v in box.box.as_tuple())
    # Unset it is left out, so that content from before there was a severity keeps its hash.
    return (box.damage_class, *corners) if box.severity is None else (box.damage_class, *corners, box.severity)


def current_boxes(boxes: Iterable[LabeledBox], former: FormerNames) -> tuple[LabeledBox, ...]:
    """Return the boxes under the names that their classes have now, without those of removed classes."""
    named = ((former.current(item.damage_class), item) for item in boxes)
    return tuple(replace(item, damage_class=name) for name, item in named if name is not None)


@dataclass(frozen=True, slots=True)
class ImportedTruth:
    """Boxes that come with a photo; none means that somebody looked and found no damage."""

    boxes: tuple[LabeledBox, ...]
