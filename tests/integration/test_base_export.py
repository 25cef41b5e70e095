"""A base whose head knows other classes: its network is exported, released, and describes photos."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from damageloop.adapters.base_export import BaseExporter
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.worker import Worker
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import NotFoundError
from damageloop.ports import BaseExport
from damageloop.services.models.register_base import FEATURE_VERSION
from damageloop.settings import Settings
from tests.fakes.photos import PARAMS_FILE

SAVE = """
import sys
from workers.stages.quiet import quiet_ultralytics
quiet_ultralytics()
from ultralytics import YOLO
YOLO("yolo11n.yaml", task="detect", verbose=False).save(sys.argv[1])
"""
SIZE = 64
# Three processes that load torch, one of which exports: half a minute on an idle core.
pytestmark = pytest.mark.full


@pytest.fixture(name="exported", scope="module")
def exported_(tmp_path_factory: pytest.TempPathFactory) -> tuple[BaseExporter, BaseExport]:
    folder = tmp_path_factory.mktemp("weights")
    subprocess.run([sys.executable, "-c", SAVE, str(folder / "other.pt")], check=True, capture_output=True)
    exporter = BaseExporter([folder])
    return exporter, exporter("other.pt", SIZE, ("scratch", "dent"))


def test_a_base_of_other_classes_is_exported_without_its_weights(exported: tuple[BaseExporter, BaseExport]) -> None:
    _, base = exported
    assert len(base.labels) == 80
    assert set(base.files) == {"model.xml", "model.bin"}


def test_the_released_network_describes_photos(exported: tuple[BaseExporter, BaseExport], tmp_path: Path) -> None:
    _, base = exported
    source = f"base-{base.sha256[:12]}"
    core = Core(Settings(home=tmp_path))
    core.settings.params_file.parent.mkdir(parents=True)
    core.settings.params_file.write_text(PARAMS_FILE.read_text())
    manifest = ReleaseManifest(FEATURE_VERSION, base.labels, SIZE, "f32", {}, {}, None, {})
    core.feature_releases(source).publish(FEATURE_VERSION, base.files, manifest)
    with pytest.raises(NotFoundError):
        core.releases.manifest(FEATURE_VERSION)  # it lies beside the versions, not among them
    describe = Worker(core).load_describer(source)
    rng = np.random.default_rng(0)
    first, second = (describe(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(2))
    assert first.shape == (64 + 128 + 256,)
    assert first.dtype == np.float32
    assert not np.allclose(first, second)
