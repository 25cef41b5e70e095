"""Reviews replayed: true boxes stand in for a person who corrects a real model's pre-labels. Counts, no clock."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters.coco import read_coco
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.adapters.photos.decoding import ImageLimits
from damageloop.adapters.photos.reader import LimitedImageReader
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.correction import Corrections, Gesture, corrections
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from damageloop.domain.release import ReleaseManifest
from damageloop.params import Params
from damageloop.ports import Detector
from samples.generator import encode, photos

# A person leaves a pre-label that is this near to what they would have drawn themselves.
ACCEPT_IOU = 0.8
VIEWS = 3


@dataclass(frozen=True, slots=True)
class TruePhoto:
    """A photo as a file would hold it, and what is really on it. `group` names the vehicle or claim."""

    content: bytes
    group: str
    boxes: tuple[LabeledBox, ...]


@dataclass(frozen=True, slots=True)
class SeenPhoto:
    """What a model said of a photo, and what is really on it."""

    group: str
    detections: tuple[Detection, ...]
    boxes: tuple[LabeledBox, ...]


@dataclass(frozen=True, slots=True)
class ReplayedReview:
    """What a person would have done to the pre-labels of a photo, and how many boxes it has."""

    group: str
    corrections: Corrections
    boxes: tuple[LabeledBox, ...]

    def n(self, gesture: Gesture, damage_class: str | None = None) -> int:
        """Return how often a gesture was made, on one class or on all."""
        return sum(
            count
            for (kind, name), count in self.corrections.items()
            if kind is gesture and damage_class in (None, name)
        )


def generated_photos(n: int, seed: int) -> Iterator[TruePhoto]:
    """Yield `n` generated photos of the full world, three views of each vehicle."""
    for made, named in enumerate(photos(vehicles=-(-n // VIEWS), views=VIEWS, seed=seed)):
        if made == n:
            return
        boxes = tuple(LabeledBox(b.label, Box(*(float(v) for v in b.xyxy_px))) for b in named.photo.boxes)
        yield TruePhoto(encode(named.photo), named.group, boxes)


def real_photos(annotations: Path, images: Path, classes: Sequence[str]) -> Iterator[TruePhoto]:
    """Yield the photos of a COCO file with their boxes of `classes`; damages of other classes are left out."""
    truths = read_coco(annotations)
    for image in json.loads(annotations.read_text())["images"]:
        name = Path(image["file_name"]).name
        boxes = tuple(box for box in truths.truths[name].boxes if box.damage_class in classes)
        content = (images / image["file_name"]).read_bytes()
        yield TruePhoto(content, truths.vehicles.get(name, name), boxes)


def see(detector: Detector, photo: TruePhoto, params: Params) -> SeenPhoto:
    """Return all that the model says of a photo, decoded as the product decodes it."""
    reader = LimitedImageReader(ImageLimits(params.ingest.max_file_bytes, params.ingest.max_pixels, 1))
    seen = reader.read(photo.content, detector.manifest.image_size)
    return SeenPhoto(photo.group, detector.detect(seen.pixels, seen.size_wh).detections, photo.boxes)


def replay(photo: SeenPhoto, display_threshold: float) -> ReplayedReview:
    """Return the review of a photo: the detections from the display threshold on are what the person sees."""
    shown = [LabeledBox(d.damage_class, d.box) for d in photo.detections if d.confidence >= display_threshold]
    return ReplayedReview(photo.group, corrections(shown, photo.boxes, ACCEPT_IOU), photo.boxes)


def load_detector(weights: Path, params: Params, threads: int) -> Detector:
    """Return the detector on these weights, by torch on the CPU."""
    import torch

    from workers.stages.network import TorchDetector, load_network

    torch.set_num_threads(threads)
    network = load_network(weights)
    manifest = ReleaseManifest(0, network.labels, params.model.image_size, "f32", {}, {}, None, {})
    score = params.score
    return TorchDetector(network, manifest, DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections))
