"""The detector that serves: a release's OpenVINO model on the CPU. Imports no torch, calls no one."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from damageloop.adapters.engines.yolo import DetectionRules, Letterbox, RawOutput, decode, letterbox, size_of
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import ConflictError, InvalidInputError, UnavailableError
from damageloop.ports import RgbImage

MODEL_FILE = "model.xml"
WEIGHTS_FILE = "model.bin"
PRECISIONS = ("f32", "bf16")
# Names of the graph's outputs. The second is missing where a model has no side distributions, the last in releases
# made before there were box features.
OUTPUT_BOXES, OUTPUT_ENTROPY, OUTPUT_EMBEDDING = "output0", "dfl_entropy", "embedding"
OUTPUT_FEATURES = "anchor_features"


def load_openvino() -> Any:
    """Import OpenVINO without its telemetry, which otherwise reports each conversion to its maker.

    OpenVINO falls back to a stub when the telemetry package cannot be imported, so it is barred before the
    first import; there is no environment variable for it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class OpenVinoDetector:
    """`Detector` on a compiled model with a few infer requests that threads share.

    Args:
        folder: A verified release folder with `model.xml` and `model.bin`.
        manifest: What the folder holds.
        rules: Which boxes are kept.
        precision: `f32` or `bf16`; None takes the manifest's. It is always set: left to itself OpenVINO
            computes in bf16 where the CPU can, which moves boxes and scores.
        n_threads: CPU threads of the whole model; 0 lets OpenVINO take all cores.
        n_requests: How many images may be in work at a time.

    Raises:
        InvalidInputError: If the precision is unknown.
        ConflictError: If the files are no model that fits the manifest.
    """

    def __init__(
        self,
        folder: Path,
        manifest: ReleaseManifest,
        rules: DetectionRules,
        precision: str | None = None,
        n_threads: int = 0,
        n_requests: int = 2,
    ) -> None:
        self._manifest = manifest
        self._rules = rules
        compiled = _compile(folder / MODEL_FILE, precision or manifest.precision, n_threads)
        _check_inputs(compiled, manifest)
        self._output_names = {name for port in compiled.outputs for name in port.get_names()}
        self._requests: queue.Queue[Any] = queue.Queue()
        for _ in range(max(1, n_requests)):
            request = compiled.create_infer_request()
            # One after another: two that were first used at once have hung a start.
            request.infer(np.zeros((1, manifest.image_size, manifest.image_size, 3), dtype=np.uint8))
            self._requests.put(request)

    @property
    def manifest(self) -> ReleaseManifest:
        """What is loaded."""
        return self._manifest

    @property
    def n_parallel(self) -> int:
        """Return how many images it is worth to have in work at a time."""
        return 2

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        """Return what the model says of one upright RGB image. Safe to call from threads."""
        raw, frame = self.forward(image)
        answer = decode(raw, frame, size_of(image), self._manifest.labels, self._rules)
        return answer if size_wh is None else answer.told_in(size_of(image), size_wh)

    def forward(self, image: RgbImage) -> tuple[RawOutput, Letterbox]:
        """Return what the network gives before boxes are chosen, and the frame it saw."""
        frame = letterbox(image, self._manifest.image_size)
        with self._lease() as request:
            try:
                request.infer(frame.pixels[None])
            except RuntimeError as exc:
                raise UnavailableError(f"OpenVINO failed on model {self._manifest.model_version}.") from exc
            return self._raw_output(request), frame

    def _raw_output(self, request: Any) -> RawOutput:
        """Copy the outputs: the request's own memory is written over by the next image."""

        def optional(name: str) -> Any:
            return _output(request, name) if name in self._output_names else None

        return RawOutput(
            _output(request, OUTPUT_BOXES),
            optional(OUTPUT_ENTROPY),
            _output(request, OUTPUT_EMBEDDING),
            optional(OUTPUT_FEATURES),
        )

    @contextmanager
    def _lease(self) -> Iterator[Any]:
        request = self._requests.get()
        try:
            yield request
        finally:
            self._requests.put(request)


def _output(request: Any, name: str) -> Any:
    return request.get_tensor(name).data[0].copy()


def _compile(model_file: Path, precision: str, n_threads: int) -> Any:
    if precision not in PRECISIONS:
        raise InvalidInputError(f"Precision {precision!r} is unknown: use one of {', '.join(PRECISIONS)}.")
    config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if n_threads:
        config["INFERENCE_NUM_THREADS"] = n_threads
    try:
        core = load_openvino().Core()
        return core.compile_model(core.read_model(model_file), "CPU", config)
    except RuntimeError as exc:
        raise ConflictError(f"{model_file.name} of this release is no model that OpenVINO can load.") from exc


def _check_inputs(compiled: Any, manifest: ReleaseManifest) -> None:
    expected = [1, manifest.image_size, manifest.image_size, 3]
    shape = list(compiled.input(0).shape)
    if shape != expected:
        raise ConflictError(f"The model takes images of shape {shape}, its manifest says {expected}.")
