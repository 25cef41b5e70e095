"""The same network for other engines: ONNX for ONNX Runtime, TorchScript for torch on a GPU.

Both take and name what the OpenVINO graph does: `images`, uint8 RGB of shape (n_images, height, width, 3), both sides
multiples of 32, and the outputs of `DetectorNetwork`. TorchScript has no names for outputs: it returns them in that
order, and holds their names as JSON in the extra file `OUTPUT_NAMES`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from damageloop.adapters.engines.yolo import Floats, RawOutput
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.ports import RgbImage
from workers.stages.agreement import CHECK_RULES, ShapedEngine, agreement, generated_images, refuse_disagreement
from workers.stages.network import DetectorNetwork, TorchDetector, load_network
from workers.stages.openvino_export import AGREEMENT_FILE

ONNX_FILE = "model.onnx"
TORCHSCRIPT_FILE = "model.torchscript"
OUTPUT_NAMES = "output_names.json"
_OPSET = 17

Infer = Callable[[RgbImage], RawOutput]


class ServedNetwork(nn.Module):
    """The network behind its preprocessing, as it is served."""

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run on uint8 RGB images, shape (n_images, height, width, 3)."""
        outputs: tuple[torch.Tensor, ...] = self.network(images.permute(0, 3, 1, 2).float() / 255.0)
        return outputs


def export_formats(
    weights: Path, image_size: int, out_dir: Path, files: Sequence[str], check_images: Sequence[RgbImage] = ()
) -> dict[str, Path]:
    """Write `files`, of `ONNX_FILE` and `TORCHSCRIPT_FILE`, check each against torch, and return them by name.

    How far each differs is added to `agreement.json` under `formats`, by file and shape of input.

    Raises:
        DamageloopError: If an exported model says something else than torch.
    """
    if not files:
        return {}
    network = load_network(weights)
    manifest = ReleaseManifest(0, network.labels, image_size, "f32", {}, {}, None, {})
    reference = TorchDetector(network, manifest, CHECK_RULES)
    figures: dict[str, Any] = {}
    for name in files:
        write, load = _FORMATS[name]
        write(network, image_size, out_dir / name)
        figures[name] = _checked(name, reference, load(out_dir / name), [*generated_images(image_size), *check_images])
    known = out_dir / AGREEMENT_FILE
    told = json.loads(known.read_text()) if known.exists() else {}
    known.write_text(json.dumps({**told, "formats": figures}, indent=2) + "\n")
    return {name: out_dir / name for name in files}


def _checked(name: str, reference: TorchDetector, infer: Infer, images: Sequence[RgbImage]) -> dict[str, Any]:
    figures = {}
    for shape in InputShape:
        size_hw = shape.size_hw(reference.manifest.image_size)
        first, second = (ShapedEngine(run, size_hw) for run in (reference.infer, infer))
        found = agreement(first, second, images, reference.manifest.labels)
        refuse_disagreement(found, f"{name} at {size_hw[1]}x{size_hw[0]}")
        figures[shape.value] = asdict(found)
    return figures


def _write_onnx(network: DetectorNetwork, image_size: int, target: Path) -> None:
    with network.any_size(), torch.no_grad(), warnings.catch_warnings():
        # The exporter that torch recommends instead needs onnxscript, and gains nothing here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            ServedNetwork(network).eval(),
            (_example(image_size),),
            str(target),
            input_names=["images"],
            output_names=list(network.output_names),
            dynamic_axes=_free_axes(network.output_names),
            opset_version=_OPSET,
            dynamo=False,
        )


def _free_axes(outputs: Sequence[str]) -> dict[str, dict[int, str]]:
    anchors = {"output0": 2, "dfl_entropy": 1, "anchor_features": 2}
    free = {name: {0: "n_images", **({anchors[name]: "n_anchors"} if name in anchors else {})} for name in outputs}
    return {"images": {0: "n_images", 1: "height", 2: "width"}, **free}


def _write_torchscript(network: DetectorNetwork, image_size: int, target: Path) -> None:
    with network.any_size(), torch.no_grad(), warnings.catch_warnings():
        # torch deprecates TorchScript; what it offers instead asks for the very version and device it was made with.
        warnings.simplefilter("ignore")
        trace = torch.jit.trace(ServedNetwork(network).eval(), _example(image_size), check_trace=False)
        torch.jit.save(trace, str(target), _extra_files={OUTPUT_NAMES: json.dumps(network.output_names)})


def _example(image_size: int) -> torch.Tensor:
    return torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8)


def _load_onnx(file: Path) -> Infer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda pixels: _raw(names, session.run(None, {"images": pixels[None]}))


def _load_torchscript(file: Path) -> Infer:
    extra = {OUTPUT_NAMES: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(str(file), map_location="cpu", _extra_files=extra)
    names = json.loads(extra[OUTPUT_NAMES])

    def infer(pixels: RgbImage) -> RawOutput:
        with torch.inference_mode():
            return _raw(names, [output.numpy() for output in module(torch.from_numpy(pixels[None]))])

    return infer


def _raw(names: Sequence[str], outputs: Sequence[Floats]) -> RawOutput:
    return RawOutput(**{name: output[0] for name, output in zip(names, outputs, strict=True)})


_FORMATS = {ONNX_FILE: (_write_onnx, _load_onnx), TORCHSCRIPT_FILE: (_write_torchscript, _load_torchscript)}
