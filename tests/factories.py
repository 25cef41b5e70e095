"""Values for tests, with defaults for everything a test does not care about."""

from __future__ import annotations

from datetime import UTC, datetime

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, ImageQuality, Origin, StoredImage
from damageloop.domain.outcome import Outcome
from damageloop.domain.prediction import Detection
from damageloop.domain.round import RoundItem, Share
from damageloop.domain.served_image import ServedImage
from damageloop.domain.split import Split
from damageloop.ports.persistence import UnitOfWork

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_stored(number: int = 1, size_wh: tuple[int, int] = (640, 480)) -> StoredImage:
    return StoredImage(
        sha256=f"{number:064x}",
        source_sha256=f"{number + 10_000:064x}",
        extension="jpg",
        width=size_wh[0],
        height=size_wh[1],
        n_bytes=1000,
        quality=ImageQuality(120.0, 40.0, 30.0),
        perceptual_hash="0" * 16,
    )


def add_image(work: UnitOfWork, number: int = 1, split: Split = Split.TRAIN) -> Image:
    return work.images.add(make_stored(number), f"{number}.jpg", f"vehicle-{number}", split, Origin.IMPORT)


def make_annotation(
    image_id: int,
    external_id: str = "1",
    verdict: Verdict = Verdict.DAMAGED,
    updated_at: datetime = MOMENT,
    x_min: float = 10.0,
) -> Annotation:
    boxes = (LabeledBox("dent", Box(x_min, 10.0, 50.0, 60.0)),) if verdict is Verdict.DAMAGED else ()
    return Annotation(image_id, verdict, boxes, "label-studio", external_id, "ann@example.org", updated_at, 12.5)


def make_item(image_id: int, rank: int = 0, share: Share = Share.CHOSEN, task_id: int | None = None) -> RoundItem:
    return RoundItem(image_id, share, rank, None, "for a test", task_id=task_id)


def make_detection(confidence: float = 0.9, damage_class: str = "dent") -> Detection:
    return Detection(damage_class, confidence, Box(10.0, 20.0, 110.0, 90.0), (0.1, confidence), 0.4)


def make_served(number: int = 1, model_version: int = 1, answered_at: datetime = MOMENT) -> ServedImage:
    return ServedImage(
        request_id=f"request-{number}",
        position=0,
        answered_at=answered_at,
        model_version=model_version,
        api_key_id=1,
        sha256=f"{number:064x}",
        size_wh=(640, 480),
        quality=ImageQuality(120.0, 40.0, 30.0, 1.5),
        flags=(),
        outcome=Outcome.DAMAGED,
        none_probability=0.1,
        top_score=0.9,
        confidences=(("dent", 0.9),),
        # [1, -2] as `feature_text` writes it.
        embedding="ADwAwA==",
        latency_ms=25.0,
    )
