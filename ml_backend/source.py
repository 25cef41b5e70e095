"""What the ML backend needs from the platform: one object, given to it at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from damageloop.domain.prediction import PreAnnotation


class PreAnnotationSource(Protocol):
    """Knows what annotators may see. Called from several threads at once."""

    def model_version(self) -> int | None:
        """Return the champion's version as of now, None while there is no champion."""

    def versions(self) -> Sequence[int]:
        """Return every version there is, the champion first, then the newest."""

    def pre_annotations(self, tasks: Sequence[tuple[int, int]]) -> Sequence[PreAnnotation | None]:
        """Return one answer for each (task id, image id), in order.

        An answer without detections is an audited task, or an image in which the model sees nothing. None is
        an image that is unknown or can't be read. May raise for the whole call: the backend then asks one by
        one.
        """
