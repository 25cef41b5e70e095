"""Predictions: what was sent before annotators is sound."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.prediction import PreAnnotation, refusal_reason
from damageloop.ports.persistence import UnitOfWork


def sound(work: UnitOfWork, classes: tuple[str, ...]) -> Iterator[str]:
    """Yield predictions that should have been refused.

    `classes` holds removed ones too: what a model said of them stays, and is shown to nobody.
    """
    images = {image.id: image for image in work.images.active()}
    for model in work.models.all():
        refused = dict(work.predictions.refused(model.version))
        for image_id, prediction in work.predictions.of_version(model.version).items():
            if image_id not in images or image_id in refused:
                continue
            size = images[image_id].size_wh
            draft = PreAnnotation(0, image_id, model.version, 0.0, size, prediction.detections)
            reason = refusal_reason(draft, classes)
            if reason:
                yield f"prediction of image {image_id} by version {model.version}: {reason}"
