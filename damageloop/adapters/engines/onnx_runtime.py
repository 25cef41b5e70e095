"""A release's `model.onnx` by ONNX Runtime, on a GPU where its package for GPUs is installed, else on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from damageloop.adapters.engines.framed import FramedDetector, existing
from damageloop.adapters.engines.yolo import DetectionRules, RawOutput
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.errors import ConflictError, UnavailableError
from damageloop.ports import RgbImage

MODEL_FILE = "model.onnx"
# By preference, of those that the installed package has.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxRuntimeDetector(FramedDetector):
    """`Detector` on one session that all threads share.

    Args:
        folder: A verified release folder.
        manifest: What the folder holds.
        rules: Which boxes are kept.
        n_threads: CPU threads of a run; 0 takes all cores.
        shapes: Which shapes of input photos may be seen through.
        warm_shapes: Compute these once at the start as well as the square.

    Raises:
        ConflictError: If the release has no such file, or it is no model that fits the manifest.
    """

    def __init__(
        self,
        folder: Path,
        manifest: ReleaseManifest,
        rules: DetectionRules,
        n_threads: int = 0,
        shapes: Sequence[InputShape] = (InputShape.SQUARE,),
        warm_shapes: Sequence[InputShape] = (),
    ) -> None:
        super().__init__(manifest, rules, shapes)
        self._session = _session(existing(folder / MODEL_FILE, manifest, "onnx"), n_threads)
        self._input = self._session.get_inputs()[0].name
        self._names = [output.name for output in self._session.get_outputs()]
        self.warm((InputShape.SQUARE, *warm_shapes))

    def _infer(self, pixels: RgbImage) -> RawOutput:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        try:
            outputs = self._session.run(self._names, {self._input: pixels[None]})
        except (Fail, InvalidArgument, RuntimeException) as exc:
            raise UnavailableError(f"ONNX Runtime failed on model {self.manifest.model_version}.") from exc
        found = {name: output[0] for name, output in zip(self._names, outputs, strict=True)}
        return RawOutput(found["output0"], found.get("dfl_entropy"), found["embedding"], found.get("anchor_features"))


def _session(file: Path, n_threads: int) -> Any:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as OperatorMissing

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # Threads that wait for the next image would otherwise keep their cores busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    there = onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(
            str(file), options, providers=[provider for provider in _PROVIDERS if provider in there]
        )
    except (Fail, InvalidGraph, InvalidProtobuf, OperatorMissing) as exc:
        raise ConflictError(f"{file.name} of this release is no model that ONNX Runtime can load.") from exc
