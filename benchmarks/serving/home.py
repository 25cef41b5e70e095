"""A home of the platform with a champion, a key, and, for the ML backend, a round whose tasks have no predictions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.serving.material import IMAGE_SIZE, Material
from damageloop.adapters.clock import SystemClock
from damageloop.adapters.database.migrate import upgrade
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.releases import FolderReleaseStore
from damageloop.bootstrap.core import template
from damageloop.bootstrap.database import make_unit_of_work_factory
from damageloop.domain.image import Origin
from damageloop.domain.key import Scope
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.domain.round import RoundItem, RoundKind, Share
from damageloop.domain.split import Split
from damageloop.params import load_params
from damageloop.services.models.make_champion import check_release, make_champion
from damageloop.services.serving.keys import Keys
from damageloop.settings import Settings

_LIMITS = ImageLimits(max_file_bytes=2**30, max_pixels=2**30, min_side_px=1)


@dataclass(frozen=True, slots=True)
class Home:
    """A prepared home. `task_ids` are (task, image) of the round's tasks."""

    settings: Settings
    key: str
    task_ids: tuple[tuple[int, int], ...] = ()


def make_home(
    folder: Path,
    material: Material,
    precision: str,
    ports: Mapping[str, int],
    serving: Mapping[str, Any] | None = None,
    n_tasks: int = 0,
) -> Home:
    """Make a home whose champion, version 1, computes in `precision`; one that is there is replaced.

    Args:
        folder: Where.
        material: Model and photos.
        precision: Of the release.
        ports: `api_port` and `ml_backend_port`.
        serving: What replaces values of `serving` in params.yaml.
        n_tasks: So many photos are stored, in a round whose tasks nobody has predicted yet.
    """
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(home=folder, mlflow_uri="http://127.0.0.1:9", label_studio_url="http://127.0.0.1:9", **ports)
    _write_params(settings, material.labels, serving or {})
    upgrade(settings.database)
    units = make_unit_of_work_factory(settings)
    publish(settings, material, 1, precision)
    promote(settings, 1)
    _, key = Keys(units, SystemClock()).create("benchmark", [Scope.ADMIN])
    return Home(settings, key, _open_round(settings, material.photos[:n_tasks]) if n_tasks else ())


def publish(
    settings: Settings, material: Material, version: int, precision: str, labels: Sequence[str] | None = None
) -> None:
    """Publish the exported model as a version and remember it; `labels` gives its classes other names."""
    names = tuple(labels or material.labels)
    params = load_params(settings.params_file)
    manifest = ReleaseManifest(
        model_version=version,
        labels=names,
        image_size=IMAGE_SIZE,
        precision=precision,
        files={},
        thresholds=dict.fromkeys(names, params.serving.default_threshold),
        none_calibration=None,
        source={"base": material.weights.name},
        # Nothing was judged: speed is measured, in every shape that may be asked for.
        card={"precision": {"shapes": {"released": [shape.value for shape in InputShape]}}},
    )
    files = {path.name: path for path in sorted(material.release.iterdir()) if path.suffix in (".xml", ".bin")}
    FolderReleaseStore(settings.release_store).publish(version, files, manifest)
    with make_unit_of_work_factory(settings)() as work:
        work.models.allot(f"benchmark-{version}", None, _now())
        work.models.record(version, f"run-{version}", str(version), {})
        work.commit()


def promote(settings: Settings, version: int, reason: PromotionReason = PromotionReason.PERSON) -> None:
    """Write the row that makes a version champion."""
    release = check_release(FolderReleaseStore(settings.release_store), version)
    with make_unit_of_work_factory(settings)() as work:
        make_champion(work, version, reason, release, _now())
        work.commit()


def add_photos(settings: Settings, photos: Sequence[Path]) -> list[int]:
    """Store photos and their rows; return the ids."""
    store = FsspecImageStore(settings.image_store, _LIMITS)
    ids = []
    with make_unit_of_work_factory(settings)() as work:
        for path in photos:
            stored = store.put(path.read_bytes(), path.name)
            ids.append(work.images.add(stored, path.name, path.stem, Split.TRAIN, Origin.IMPORT).id)
        work.commit()
    return ids


def _open_round(settings: Settings, photos: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    ids = add_photos(settings, photos)
    tasks = {image_id: 1000 + image_id for image_id in ids}
    items = [RoundItem(image_id, Share.CHOSEN, rank, None, "benchmark") for rank, image_id in enumerate(ids)]
    with make_unit_of_work_factory(settings)() as work:
        opened = work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, _now(), items)
        work.rounds.set_tasks(opened.id, tasks)
        work.commit()
    return tuple((task_id, image_id) for image_id, task_id in tasks.items())


def _write_params(settings: Settings, labels: Sequence[str], serving: Mapping[str, Any]) -> None:
    content = yaml.safe_load(template("params.yaml").read_text(encoding="utf-8"))
    content["labels"]["classes"] = list(labels)
    content["model"]["image_size"] = IMAGE_SIZE
    # Nobody is limited here but by the machine.
    content["serving"] |= {"requests_per_minute": None, **serving}
    settings.params_file.parent.mkdir(parents=True, exist_ok=True)
    settings.params_file.write_text(yaml.safe_dump(content), encoding="utf-8")


def _now() -> datetime:
    return datetime.now(UTC)
