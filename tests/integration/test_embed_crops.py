"""Embeddings of drawn boxes on the real database: made in parts, kept in step with edits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import DetectorAnswer
from damageloop.errors import NotFoundError, UnavailableError
from damageloop.ports import RgbImage
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.embed_crops import CROPS_IN_STEP, EmbedCrops, counting_crops, in_step_mark
from tests.factories import MOMENT, add_image, make_annotation
from tests.fakes.clock import FakeClock
from tests.fakes.features import FakeFeatureStore
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params

INPUTS = {"model_version": 2, "snapshot_id": 5}


class Store:
    """Gives each image a brightness of its own; the images of `gone` have no bytes."""

    def __init__(self) -> None:
        self.gone: dict[int, Exception] = {}

    def load(self, store_key: str) -> RgbImage:
        number = int(Path(store_key).stem, 16)
        if number in self.gone:
            raise self.gone[number]
        return np.full((480, 640, 3), number, dtype=np.uint8)


@dataclass
class Detector:
    """Embeds the mean brightness and the size."""

    shapes: list[tuple[int, int]] = field(default_factory=list)

    @property
    def n_parallel(self) -> int:
        return 1

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        height, width = image.shape[:2]
        self.shapes.append((width, height))
        return DetectorAnswer((), np.array([image.mean(), width, height], dtype=np.float32), 0.0)


@dataclass
class Desk:
    units: UnitOfWorkFactory
    store: Any = field(default_factory=Store)
    features: FakeFeatureStore = field(default_factory=FakeFeatureStore)
    detector: Detector = field(default_factory=Detector)

    def embed(self, per_job: int = 100) -> dict[str, Any]:
        params = make_params(crops={"per_job": per_job, "margin": 0.1})
        return EmbedCrops(self.units, self.store, self.features, self._load, params)(INPUTS, NoContext())

    def _load(self, version: int) -> Any:
        return self.detector

    def in_step(self) -> str | None:
        with self.units(read_only=True) as work:
            return work.facts.get(CROPS_IN_STEP)

    def keys(self) -> list[str]:
        with self.units(read_only=True) as work:
            return [crop.key for crop in counting_crops(work, make_params())]


@pytest.fixture(name="desk")
def desk_(units: UnitOfWorkFactory, clock: FakeClock) -> Desk:
    """Three images: one box on 1, two on 2, none on 3."""
    boxes = (LabeledBox("dent", Box(100, 100, 200, 150)), LabeledBox("scratch", Box(0, 0, 40, 30)))
    with units() as work:
        for number in (1, 2, 3):
            add_image(work, number)
        work.annotations.upsert(make_annotation(1, "a"))
        work.annotations.upsert(Annotation(2, Verdict.DAMAGED, boxes, "label-studio", "b", "ann", MOMENT))
        work.annotations.upsert(make_annotation(3, "c", Verdict.CLEAN))
        work.commit()
    return Desk(units)


def test_every_box_of_the_annotations_that_count_is_embedded_once(desk: Desk) -> None:
    assert desk.embed() == {"model_version": 2, "embedded": 3, "failed": 0, "left": 0}
    # 40 x 50 with a tenth on each side, then 100 x 50; the last one lies in the corner.
    assert desk.detector.shapes == [(48, 60), (120, 60), (44, 33)]
    rows = desk.features.read_crops("2", desk.keys())
    assert rows[:, 0].tolist() == [1, 2, 2]
    assert desk.in_step() == in_step_mark(2, 5) == "2:5"
    assert desk.embed()["embedded"] == 0


def test_a_job_does_a_part_and_says_what_is_left(desk: Desk) -> None:
    assert desk.embed(per_job=2)["left"] == 1
    assert desk.in_step() is None
    assert desk.embed(per_job=2) == {"model_version": 2, "embedded": 1, "failed": 0, "left": 0}
    assert desk.in_step() == "2:5"


def test_an_edit_asks_for_the_boxes_of_that_image_only(desk: Desk) -> None:
    desk.embed()
    with desk.units() as work:
        work.annotations.upsert(make_annotation(1, "a", x_min=20.0))
        work.commit()
    assert desk.embed()["embedded"] == 1
    assert len(desk.features.known_crops("2")) == 4


def test_a_bad_image_keeps_no_other_from_being_embedded(desk: Desk) -> None:
    desk.store.gone[1] = NotFoundError("gone")
    assert desk.embed() == {"model_version": 2, "embedded": 2, "failed": 1, "left": 0}


def test_bad_images_do_not_fill_every_job(desk: Desk) -> None:
    desk.store.gone[1] = NotFoundError("gone")
    assert desk.embed(per_job=1) == {"model_version": 2, "embedded": 1, "failed": 1, "left": 1}
    assert desk.embed(per_job=1) == {"model_version": 2, "embedded": 1, "failed": 1, "left": 0}
    assert desk.in_step() == "2:5"


def test_a_store_that_is_away_is_tried_again(desk: Desk) -> None:
    desk.store.gone[1] = UnavailableError("away")
    with pytest.raises(UnavailableError):
        desk.embed()
    assert desk.in_step() is None
