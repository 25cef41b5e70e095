"""What every process of the platform shares: settings, parameters, stores and the ledger. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from damageloop.adapters.clock import SystemClock
from damageloop.errors import ConflictError
from damageloop.params import Params, load_params
from damageloop.ports import Clock, ToolIdentity
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.loop.ledger import Ledger
from damageloop.services.reviews.receive_reviews import IDENTITY
from damageloop.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

    from damageloop.adapters.celery import CeleryJobQueue
    from damageloop.adapters.dvc import DvcSnapshotStore
    from damageloop.adapters.engines.yolo import DetectionRules
    from damageloop.adapters.features.store import ParquetFeatureStore
    from damageloop.adapters.images import FsspecImageStore
    from damageloop.adapters.label_studio.client import LabelStudioTool
    from damageloop.adapters.maps import FileMapStore
    from damageloop.adapters.mlflow import MlflowRegistry
    from damageloop.adapters.releases import FolderReleaseStore

_PACKAGE = Path(__file__).resolve().parents[1]
# In a checkout these lie in the root; a wheel has them inside the package.
TEMPLATES = (_PACKAGE.parent, _PACKAGE / "workspace_template")
STARTERS = (_PACKAGE.parent / "starter", _PACKAGE / "starter")


def template(name: str) -> Path:
    """Return the product's own `dvc.yaml` or `params.yaml`, from which a workspace is made."""
    return next(folder / name for folder in TEMPLATES if (folder / name).is_file())


@dataclass(frozen=True)
class Core:
    """Adapters made on first use, so that no process loads what it does not need.

    `params` is read anew for each Core: the workspace's params.yaml is the live one.
    """

    settings: Settings

    @cached_property
    def params(self) -> Params:
        return load_params(self.settings.params_file)

    @cached_property
    def clock(self) -> Clock:
        return SystemClock()

    @cached_property
    def units(self) -> UnitOfWorkFactory:
        from damageloop.bootstrap.database import make_unit_of_work_factory

        return make_unit_of_work_factory(self.settings, self.clock)

    @cached_property
    def images(self) -> FsspecImageStore:
        from damageloop.adapters.images import FsspecImageStore, ImageLimits

        ingest = self.params.ingest
        limits = ImageLimits(ingest.max_file_bytes, ingest.max_pixels, ingest.min_side_px)
        return FsspecImageStore(self.settings.image_store, limits)

    @cached_property
    def features(self) -> ParquetFeatureStore:
        from damageloop.adapters.features.store import ParquetFeatureStore

        return ParquetFeatureStore(self.settings.feature_store)

    @cached_property
    def maps(self) -> FileMapStore:
        from damageloop.adapters.maps import FileMapStore

        return FileMapStore(self.settings.map_cache)

    @cached_property
    def releases(self) -> FolderReleaseStore:
        from damageloop.adapters.releases import FolderReleaseStore

        return FolderReleaseStore(self.settings.release_store)

    def feature_releases(self, source: str) -> FolderReleaseStore:
        """Return the store of the release that gives the embeddings of `source`, such as `base-0123456789ab`."""
        from damageloop.adapters.releases import FolderReleaseStore

        return FolderReleaseStore(f"{self.settings.release_store}/{source}")

    @cached_property
    def snapshots(self) -> DvcSnapshotStore:
        from damageloop.adapters.dvc import DvcSnapshotStore

        return DvcSnapshotStore(self.settings.workspace_dir, self.settings.dvc_remote)

    @cached_property
    def registry(self) -> MlflowRegistry:
        from damageloop.adapters.mlflow import MlflowRegistry

        return MlflowRegistry(self.settings.mlflow)

    @property
    def tool_identity(self) -> ToolIdentity:
        """Return which Label Studio project is ours.

        Raises:
            ConflictError: If `damageloop init` has not connected one yet.
        """
        with self.units(read_only=True) as work:
            identity = work.facts.get(IDENTITY)
        if identity is None:
            raise ConflictError("No Label Studio project is connected yet; `damageloop init` does that.")
        return ToolIdentity(**identity)

    @cached_property
    def tool(self) -> LabelStudioTool:
        from damageloop.adapters.label_studio.client import LabelStudioTool

        token = self.settings.label_studio_token.read_text().strip()
        project_id, former = self.tool_identity.project_id, self.params.labels.former
        return LabelStudioTool(self.settings.label_studio, token, project_id, former=former)

    @cached_property
    def _celery(self) -> Celery:
        from damageloop.adapters.celery import make_celery

        return make_celery(self.settings.broker_url, self.settings.root / "broker")

    @cached_property
    def queue(self) -> CeleryJobQueue:
        from damageloop.adapters.celery import CeleryJobQueue

        return CeleryJobQueue(self._celery)

    def nudge(self) -> None:
        """Ask for a turn of the loop now. Raises UnavailableError; the loop turns soon anyway."""
        from damageloop.adapters.celery import LoopNudge

        LoopNudge(self._celery).send()

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.units, self.queue, self.clock, self.nudge)

    @property
    def detection_rules(self) -> DetectionRules:
        from damageloop.adapters.engines.yolo import DetectionRules

        score = self.params.score
        return DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections)

    @property
    def weights_folders(self) -> list[Path]:
        """Return where weights files are looked for, in order."""
        configured = self.settings.weights_dir
        own = self.settings.root / "weights"
        return [*([configured.expanduser().resolve()] if configured else []), own, *STARTERS]
