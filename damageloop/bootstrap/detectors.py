"""Which engine runs a release's model: `DAMAGELOOP_ENGINE` says it. The other engines are not even imported."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from damageloop.domain.input_shape import released_shapes
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.params import Params
from damageloop.ports import Detector
from damageloop.settings import Settings

if TYPE_CHECKING:
    from damageloop.adapters.engines.yolo import DetectionRules

# By name and not by import, as entry points are: one of them loads torch, which only who asked for it shall pay for
# (docs/adr/0020-engines-by-name.md).
_ENGINES = {
    "openvino": ("damageloop.adapters.engines.openvino", "OpenVinoDetector"),
    "onnxruntime": ("damageloop.adapters.engines.onnx_runtime", "OnnxRuntimeDetector"),
    "torch": ("damageloop.adapters.engines.torchscript", "TorchScriptDetector"),
}


class ShapedDetector(Detector, Protocol):
    """A detector that sees photos through inputs of several shapes."""

    @property
    def shapes_in_use(self) -> tuple[InputShape, ...]:
        """Return the shapes that are warm."""


class _MakeEngine(Protocol):
    def __call__(
        self,
        folder: Path,
        manifest: ReleaseManifest,
        rules: DetectionRules,
        *,
        shapes: Sequence[InputShape],
        warm_shapes: Sequence[InputShape],
    ) -> ShapedDetector: ...


def make_detector(
    settings: Settings,
    params: Params,
    folder: Path,
    manifest: ReleaseManifest,
    warm_shapes: Sequence[InputShape] = (),
) -> ShapedDetector:
    """Return the detector of a verified release folder, loaded and warmed up.

    Args:
        settings: `engine` is what runs it.
        params: `score`, and `serving.shapes`: at most these, as far as they held for the release on val.
        folder: Where the release's files are.
        manifest: What they hold.
        warm_shapes: Shapes of input to make ready at once, such as those that the model before had in use.

    Raises:
        ConflictError: If the release lacks the file that the engine needs, or it can't be loaded.
    """
    from damageloop.adapters.engines.yolo import DetectionRules

    score = params.score
    rules = DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections)
    module, name = _ENGINES[settings.engine]
    make = cast("_MakeEngine", getattr(import_module(module), name))
    shapes = released_shapes(manifest, params.serving.shapes)
    return make(folder, manifest, rules, shapes=shapes, warm_shapes=warm_shapes)
