"""Forgotten images: nothing of them is left but their record."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.image import ImageStatus
from damageloop.ports import AnnotationTool, FeatureStore, ImageStore
from damageloop.ports.persistence import UnitOfWork


def are_recorded(work: UnitOfWork) -> Iterator[str]:
    """Yield redactions whose image is not marked as forgotten."""
    redactions = work.redactions.all()
    images = {image.id: image for image in work.images.get_many([r.image_id for r in redactions])}
    for redaction in redactions:
        image = images.get(redaction.image_id)
        if image is None or image.status is not ImageStatus.FORGOTTEN:
            yield f"image {redaction.image_id} has a redaction and is not forgotten"


def are_gone(work: UnitOfWork, store: ImageStore, features: FeatureStore, tool: AnnotationTool) -> Iterator[str]:
    """Yield what is left of images whose forgetting is finished: bytes, features, predictions and tasks."""
    done = {r.image_id: r for r in work.redactions.all() if r.finished_at is not None}
    if not done:
        return
    marked = store.redacted()
    for image in work.images.get_many(sorted(done)):
        if image.sha256 not in marked or store.verify(image.store_key, image.sha256):
            yield f"image {image.id}: its bytes are still there, or the mark in the image store is not"
    for source in features.sources():
        crops = {int(key.partition(":")[0]) for key in features.known_crops(source)}
        known = {*features.known_ids(source).tolist(), *features.known_box_ids(source).tolist(), *crops}
        for image_id in sorted(known & done.keys()):
            yield f"image {image_id}: features of {source} are still there"
    for model in work.models.all():
        for image_id in sorted(work.predictions.of_version(model.version, sorted(done))):
            yield f"image {image_id}: a prediction of version {model.version} is still there"
    for task_id in tool.tasks_of(done.keys()):
        yield f"task {task_id} of a forgotten image is still there"
