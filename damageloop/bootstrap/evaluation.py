"""What `damageloop evaluate` uses: a version's detector from its verified release folder, and a reader of photos."""

from __future__ import annotations

from damageloop.adapters.photos.decoding import ImageLimits
from damageloop.adapters.photos.reader import LimitedImageReader
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.detectors import make_detector
from damageloop.services.models.evaluate_model import EvaluateModel


def make_evaluate_model(core: Core, version: int) -> EvaluateModel:
    """Return the use case for one version.

    Raises:
        NotFoundError: If there is no release of it.
        ConflictError: If its files are damaged.
    """
    ingest = core.params.ingest
    folder, manifest = core.releases.folder(version), core.releases.manifest(version)
    return EvaluateModel(
        detector=make_detector(core.settings, core.params, folder, manifest),
        reader=LimitedImageReader(ImageLimits(ingest.max_file_bytes, ingest.max_pixels, ingest.min_side_px)),
        params=core.params,
    )
