"""The champion's detector for a serving process. Its engine is imported by the thread that loads the first model."""

from __future__ import annotations

import weakref
from pathlib import Path

from damageloop.adapters.releases import FolderReleaseStore
from damageloop.bootstrap.detectors import ShapedDetector, make_detector
from damageloop.domain.release import ReleaseManifest
from damageloop.params import Params
from damageloop.ports import Detector
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.serving_champion import ChampionLoader
from damageloop.settings import Settings


def make_champion_loader(settings: Settings, params: Params, units: UnitOfWorkFactory) -> ChampionLoader:
    """Return a loader that has not started to follow promotions."""
    return ChampionLoader(units, FolderReleaseStore(settings.release_store), _MakeNext(settings, params))


class _MakeNext:
    """Makes one detector after another, each warm in the shapes that photos came in before: a switch is not felt."""

    def __init__(self, settings: Settings, params: Params) -> None:
        self._settings = settings
        self._params = params
        # The loader and its requests decide how long a model stays, not this.
        self._last: weakref.ref[ShapedDetector] | None = None

    def __call__(self, folder: Path, manifest: ReleaseManifest) -> Detector:
        last = self._last() if self._last else None
        shapes = last.shapes_in_use if last else ()
        detector = make_detector(self._settings, self._params, folder, manifest, shapes)
        self._last = weakref.ref(detector)
        return detector
