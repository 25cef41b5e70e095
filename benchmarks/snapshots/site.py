"""A platform with many labeled images: rows in a database and a real workspace. No image has bytes."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert

from damageloop.adapters.clock import SystemClock
from damageloop.adapters.database.base import Base
from damageloop.adapters.database.conversions import boxes_to_json
from damageloop.adapters.database.tables import AnnotationRow, ImageRow
from damageloop.adapters.database.unit_of_work import SqlUnitOfWork, make_engine
from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.workspace import create_workspace
from damageloop.bootstrap.core import template
from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.split import split_of_group
from damageloop.params import Params, SplitParams, load_params
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance

SIZE_WH = (1280, 960)
IMAGES_OF_A_VEHICLE = 5
CLEAN_SHARE = 0.3
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_ROWS_AT_ONCE = 5000


@dataclass
class Stopwatch:
    """A `JobContext` that notes when the reading was over and the writing began."""

    began: float = field(default_factory=time.perf_counter)
    read_s: float = 0.0

    def progress(self, share: float, message: str, detail: Mapping[str, Any] | None = None) -> None:
        self.read_s = time.perf_counter() - self.began

    def is_cancelled(self) -> bool:
        return False

    def is_taken_over(self) -> bool:
        return False


@dataclass(frozen=True)
class Units:
    """A `UnitOfWorkFactory` on one engine."""

    engine: Engine

    def __call__(self, read_only: bool = False) -> SqlUnitOfWork:
        return SqlUnitOfWork(self.engine, SystemClock(), read_only)


@dataclass(frozen=True)
class Site:
    """A database with `n_images` labeled images and a workspace with the snapshots that were taken of it."""

    folder: Path
    engine: Engine
    n_images: int
    rng: np.random.Generator

    def snapshot(self) -> dict[str, Any]:
        """Take a snapshot and return its seconds: in all, for reading and checking, and of the processor."""
        cpu, watch = _cpu_s(), Stopwatch()
        result = self._build()({}, watch)
        if not result["is_new"]:
            raise RuntimeError("The benchmark measured a snapshot that was not made.")
        return {
            "seconds": time.perf_counter() - watch.began,
            "read_s": watch.read_s,
            "cpu_s": _cpu_s() - cpu,
            "checked": result["report"]["checked"],
            "images": result["report"]["images"],
        }

    def change(self, n_changed: int) -> None:
        """Move a box, or draw the first one, on images drawn at random."""
        drawn = self.rng.choice(self.n_images, size=min(n_changed, self.n_images), replace=False) + 1
        with Units(self.engine)() as work:
            for image_id in drawn.tolist():
                (annotation,) = work.annotations.of_images([image_id])
                boxes = (*annotation.boxes[1:], _box(self.rng))
                work.annotations.upsert(
                    Annotation(
                        image_id,
                        Verdict.DAMAGED,
                        boxes,
                        annotation.source,
                        annotation.external_id,
                        "ben",
                        annotation.updated_at + timedelta(hours=1),
                    )
                )
            work.commit()

    def _build(self) -> BuildSnapshot:
        store = DvcSnapshotStore(self.folder / "workspace", str(self.folder / "remote"))
        provenance = Provenance("benchmark", "0" * 64, "base.pt", "0" * 64)
        return BuildSnapshot(Units(self.engine), store, lambda: provenance, SystemClock(), _params())


def make_site(folder: Path, n_images: int, seed: int) -> Site:
    """Make a database of labeled images and an empty workspace below `folder`."""
    folder.mkdir(parents=True)
    create_workspace(folder / "workspace", template("dvc.yaml"), template("params.yaml"), str(folder / "remote"))
    engine = make_engine(f"sqlite:///{folder / 'damageloop.sqlite'}")
    Base.metadata.create_all(engine)
    rng, split = np.random.default_rng(seed), _params().split
    with engine.begin() as connection:
        for part in _parts(n_images):
            connection.execute(insert(ImageRow), [_image(number, split) for number in part])
            connection.execute(insert(AnnotationRow), [_annotation(number, rng) for number in part])
    return Site(folder, engine, n_images, rng)


def _parts(n_images: int) -> Iterator[range]:
    for start in range(1, n_images + 1, _ROWS_AT_ONCE):
        yield range(start, min(start + _ROWS_AT_ONCE, n_images + 1))


def _params() -> Params:
    return load_params(template("params.yaml"))


def _image(number: int, split: SplitParams) -> dict[str, Any]:
    vehicle = f"car-{number // IMAGES_OF_A_VEHICLE}"
    return {
        "id": number,
        "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "source_sha256": hashlib.sha256(f"source {number}".encode()).hexdigest(),
        "extension": "jpg",
        "file_name": f"{number}.jpg",
        "width": SIZE_WH[0],
        "height": SIZE_WH[1],
        "n_bytes": 200_000,
        "brightness": 120.0,
        "contrast": 40.0,
        "sharpness": 30.0,
        "perceptual_hash": f"{number:016x}",
        "vehicle": vehicle,
        "group_key": vehicle,
        "split": split_of_group(vehicle, split.seed, split.shares).value,
        "status": "active",
        "origin": "import",
        "created_at": _BEGIN,
        "sequence": 0,
    }


def _annotation(number: int, rng: np.random.Generator) -> dict[str, Any]:
    boxes = () if rng.random() < CLEAN_SHARE else tuple(_box(rng) for _ in range(int(rng.integers(1, 4))))
    said = Annotation(
        number,
        Verdict.DAMAGED if boxes else Verdict.CLEAN,
        boxes,
        "label-studio",
        str(number),
        "ann",
        _BEGIN + timedelta(seconds=number),
    )
    return {
        "image_id": number,
        "source": said.source,
        "external_id": said.external_id,
        "verdict": said.verdict.value,
        "boxes": boxes_to_json(boxes),
        "annotator": said.annotator,
        "lead_time_s": 8.0,
        "updated_at": said.updated_at,
        "is_deleted": False,
        "content_hash": said.content_hash,
        "sequence": number,
    }


def _box(rng: np.random.Generator) -> LabeledBox:
    x_min, y_min = rng.uniform(0, SIZE_WH[0] - 300), rng.uniform(0, SIZE_WH[1] - 300)
    width, height = rng.uniform(20, 300, size=2)
    name = ("scratch", "dent")[int(rng.integers(2))]
    return LabeledBox(name, Box(float(x_min), float(y_min), float(x_min + width), float(y_min + height)))


def _cpu_s() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
