"""The champion's detector for a serving process. OpenVINO is imported by the thread that loads the first model."""

from __future__ import annotations

from pathlib import Path

from damageloop.adapters.releases import FolderReleaseStore
from damageloop.domain.release import ReleaseManifest
from damageloop.params import Params
from damageloop.ports import Detector
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.serving_champion import ChampionLoader
from damageloop.settings import Settings


def make_champion_loader(settings: Settings, params: Params, units: UnitOfWorkFactory) -> ChampionLoader:
    """Return a loader that has not started to follow promotions."""

    def make_detector(folder: Path, manifest: ReleaseManifest) -> Detector:
        from damageloop.adapters.engines.openvino import OpenVinoDetector
        from damageloop.adapters.engines.yolo import DetectionRules

        score = params.score
        rules = DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections)
        return OpenVinoDetector(folder, manifest, rules)

    return ChampionLoader(units, FolderReleaseStore(settings.release_store), make_detector)
