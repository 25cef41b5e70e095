"""A release's `model.torchscript` by torch, on a GPU where there is one. No other module of the core imports torch.

It is reached by its name alone (docs/adr/0020-engines-by-name.md): who was not told to use it loads no torch.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from damageloop.adapters.engines.framed import FramedDetector, existing
from damageloop.adapters.engines.yolo import DetectionRules, RawOutput
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.errors import ConflictError, UnavailableError
from damageloop.ports import RgbImage

MODEL_FILE = "model.torchscript"
# TorchScript has no names for outputs: the file holds them as JSON, in their order.
_OUTPUT_NAMES = "output_names.json"


class TorchScriptDetector(FramedDetector):
    """`Detector` on a traced network.

    Args:
        folder: A verified release folder.
        manifest: What the folder holds.
        rules: Which boxes are kept.
        shapes: Which shapes of input photos may be seen through.
        warm_shapes: Compute these once at the start as well as the square.

    Raises:
        ConflictError: If the release has no such file, or it is no model that torch can load.
    """

    def __init__(
        self,
        folder: Path,
        manifest: ReleaseManifest,
        rules: DetectionRules,
        shapes: Sequence[InputShape] = (InputShape.SQUARE,),
        warm_shapes: Sequence[InputShape] = (),
    ) -> None:
        super().__init__(manifest, rules, shapes)
        import torch

        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        # A GPU would otherwise round the factors of convolutions to ten bits, and say f32 all the same.
        torch.backends.cudnn.allow_tf32 = False
        self._module, self._names = _load(torch, existing(folder / MODEL_FILE, manifest, "torchscript"), self._device)
        self.warm((InputShape.SQUARE, *warm_shapes))

    def _infer(self, pixels: RgbImage) -> RawOutput:
        try:
            with self._torch.inference_mode():
                outputs = self._module(self._torch.from_numpy(pixels[None]).to(self._device))
                arrays = [output[0].float().cpu().numpy() for output in outputs]
        except RuntimeError as exc:
            raise UnavailableError(f"torch failed on model {self.manifest.model_version}.") from exc
        found = dict(zip(self._names, arrays, strict=True))
        return RawOutput(found["output0"], found.get("dfl_entropy"), found["embedding"], found.get("anchor_features"))


def _load(torch: Any, file: Path, device: str) -> tuple[Any, list[str]]:
    extra = {_OUTPUT_NAMES: ""}
    try:
        with warnings.catch_warnings():
            # torch deprecates TorchScript; what it offers instead asks for the device that it was made on.
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(file), map_location=device, _extra_files=extra).eval()
            # What it learns of the first images and compiles anew for them costs seconds, and gains nothing on a CPU.
            torch.jit.set_fusion_strategy([])
        return module, list(json.loads(extra[_OUTPUT_NAMES]))
    except (RuntimeError, ValueError) as exc:
        raise ConflictError(f"{file.name} of this release is no model that torch can load.") from exc
