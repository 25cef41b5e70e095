"""The replayed human leaves the boxes that were really drawn, in seconds modelled from published times."""

from __future__ import annotations

from collections.abc import Sequence

from active_learning.review_time import PRIOR
from benchmarks.learning_curve.photos import Photo
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.correction import Gesture, corrections
from damageloop.domain.prediction import Detection

# A pre-label that overlaps the drawn box by this much would have been left as it is.
ACCEPT_IOU = 0.8
_SECONDS = {
    Gesture.ACCEPTED: PRIOR.accept_s,
    Gesture.EDITED: PRIOR.edit_s,
    Gesture.REJECTED: PRIOR.reject_s,
    Gesture.DRAWN: PRIOR.draw_s,
}


def review_seconds(photo: Photo, detections: Sequence[Detection], display_threshold: float) -> float:
    """Return the seconds for a photo whose pre-labels are the detections from the threshold on.

    6 s for the photo and, with the published times, 10 s for each of two boxes drawn where nothing is shown: 26 s.
    """
    shown = [LabeledBox(d.damage_class, d.box) for d in detections if d.confidence >= display_threshold]
    found = corrections(shown, photo.boxes, ACCEPT_IOU)
    return PRIOR.photo_s + sum(count * _SECONDS[gesture] for (gesture, _), count in found.items())
