"""Real releases change places under load, through a real server: nothing fails, nothing is mixed, the old one goes."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from damageloop.adapters.engines.openvino import OpenVinoDetector
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.release import ReleaseManifest
from damageloop.ports import Detector
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.fakes.clock import FakeClock
from tests.fakes.detector import make_manifest
from tests.integration.api_world import ApiWorld
from tests.integration.random_network import save_random_network
from tests.integration.test_request_path import LONG_S, ask, served
from workers.stages.openvino_export import export_openvino

SIZE = 128
RULES = DetectionRules(confidence_floor=0.25, nms_iou=0.6, max_detections=20)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class OpenVinoWorld(ApiWorld):
    """The real engine; each version names its classes after itself."""

    files: dict[str, Path]

    def publish(self, version: int) -> None:
        """Make a version champion, and leave it to the loader to see that."""
        labels = tuple(f"{name} {version}" for name in ("scratch", "dent"))
        manifest = replace(make_manifest(version), labels=labels, image_size=SIZE, thresholds={})
        self.releases.publish(version, self.files, manifest)
        with self.units() as work:
            work.models.allot(f"key-{version}", None, self.clock.now())
            work.models.promote(version, None, None, PromotionReason.PERSON, self.clock.now())
            work.commit()

    def _make_detector(self, folder: Path, manifest: ReleaseManifest) -> Detector:  # type: ignore[override]
        return OpenVinoDetector(folder, manifest, RULES)


@pytest.fixture
def world(units: UnitOfWorkFactory, tmp_path: Path) -> OpenVinoWorld:
    save_random_network(tmp_path / "random.pt", ("scratch", "dent"), SIZE)
    made = OpenVinoWorld(units, FakeClock(), tmp_path)
    made.files = export_openvino(tmp_path / "random.pt", SIZE, tmp_path / "export")
    return made


def test_releases_change_places_under_load(world: OpenVinoWorld) -> None:
    champion, is_over = world.services.champion, threading.Event()
    world.publish(1)
    champion.refresh()
    old = weakref.ref(champion.current().detector)
    with served(world) as client, ThreadPoolExecutor(3) as threads:

        def ask_on(_: int) -> list[httpx.Response]:
            found = [ask(client, 2)]
            while not is_over.is_set():
                found.append(ask(client, 2))
            return found

        asked = [threads.submit(ask_on, number) for number in range(3)]
        for version in (2, 3):
            world.publish(version)
            champion.refresh()
            # The switch is one assignment: whatever is asked from now on is answered by the new one.
            assert ask(client).json()["model_version"] == str(version)
        is_over.set()
        answers = [answer for one in asked for answer in one.result(LONG_S)]
    assert {answer.status_code for answer in answers} == {200}
    for content in (answer.json() for answer in answers):
        classes = {found["damage_class"] for image in content["images"] for found in image["detections"]}
        assert {name.split()[-1] for name in classes} == {content["model_version"]}
    gc.collect()
    assert old() is None
