"""Turn a YOLO checkpoint into the OpenVINO model that a release holds, and prove that both say the same."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from damageloop.adapters.engines.openvino import MODEL_FILE, WEIGHTS_FILE, OpenVinoDetector, load_openvino, shared_core
from damageloop.adapters.engines.yolo import RawOutput
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.ports import RgbImage
from workers.stages.agreement import (
    CHECK_RULES,
    Agreement,
    ShapedEngine,
    agreement,
    generated_images,
    refuse_disagreement,
)
from workers.stages.network import DetectorNetwork, TorchDetector, load_network

AGREEMENT_FILE = "agreement.json"
# On every other shape fewer photos are looked at: the graph is the same.
_PHOTOS_OF_A_SHAPE = 4


def export_openvino(
    weights: Path, image_size: int, out_dir: Path, check_images: Sequence[RgbImage] = ()
) -> dict[str, Path]:
    """Export a checkpoint to `out_dir` and check it against torch; return both files by name.

    The graph takes (1, height, width, 3) uint8 RGB, both sides multiples of 32, and keeps single-precision weights.
    `agreement.json` is written beside it.

    Args:
        weights: An ultralytics checkpoint.
        image_size: Side of the network's input.
        out_dir: Made when it does not exist.
        check_images: Real photos to compare on, besides generated ones.

    Raises:
        DamageloopError: If the exported model says something else than torch.
    """
    network = load_network(weights)
    out_dir.mkdir(parents=True, exist_ok=True)
    _convert(network, image_size, out_dir / MODEL_FILE)
    manifest = _manifest(network, image_size)
    reference = TorchDetector(network, manifest, CHECK_RULES)
    exported = OpenVinoDetector(out_dir, manifest, CHECK_RULES)
    images = generated_images(image_size)
    square = agreement(reference, exported, [*images, *check_images], network.labels)
    others = _agreement_by_shape(reference, out_dir, image_size, [*images, *check_images[:_PHOTOS_OF_A_SHAPE]])
    figures = {**asdict(square), "shapes": {shape.value: asdict(found) for shape, found in others.items()}}
    (out_dir / AGREEMENT_FILE).write_text(json.dumps(figures, indent=2) + "\n")
    for found in (square, *others.values()):
        refuse_disagreement(found)
    return {name: out_dir / name for name in (MODEL_FILE, WEIGHTS_FILE)}


def _agreement_by_shape(
    reference: TorchDetector, folder: Path, image_size: int, images: Sequence[RgbImage]
) -> dict[InputShape, Agreement]:
    """Return how far the graph, reshaped to what is no square, differs from torch at that shape."""
    found = {}
    for shape in (InputShape.LANDSCAPE, InputShape.PORTRAIT):
        size_hw = shape.size_hw(image_size)
        first, second = (ShapedEngine(infer, size_hw) for infer in (reference.infer, _reshaped(folder, size_hw)))
        found[shape] = agreement(first, second, images, reference.manifest.labels)
    return found


def _reshaped(folder: Path, size_hw: tuple[int, int]) -> Callable[[RgbImage], RawOutput]:
    core = shared_core()
    model = core.read_model(folder / MODEL_FILE)
    model.reshape([1, *size_hw, 3])
    request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()

    def infer(pixels: RgbImage) -> RawOutput:
        request.infer(pixels[None])
        named = {name: port for port in request.model_outputs for name in port.get_names()}
        arrays = {name: request.get_tensor(port).data[0].copy() for name, port in named.items()}
        return RawOutput(**arrays)

    return infer


def _convert(network: DetectorNetwork, image_size: int, target: Path) -> None:
    ov = load_openvino()
    model = _traced(ov, network, torch.zeros(1, 3, image_size, image_size))
    for port, name in zip(model.outputs, network.output_names, strict=True):
        port.get_tensor().set_names({name})
    ov.save_model(_with_preprocessing(ov, model), target, compress_to_fp16=False)


def _traced(ov: Any, network: DetectorNetwork, example: torch.Tensor) -> Any:
    """Return the graph of the network for images of any height and width that its strides divide."""
    with network.any_size(), torch.no_grad(), warnings.catch_warnings():
        # torch deprecates its tracer, and OpenVINO reads nothing newer as well.
        warnings.simplefilter("ignore", FutureWarning)
        # torch's own check of the trace takes two thirds of the time, and `agreement` checks what comes of it.
        trace = torch.jit.trace(network, example, check_trace=False)
        return ov.convert_model(trace, example_input=example, input=[[1, 3, -1, -1]])


def _with_preprocessing(ov: Any, model: Any) -> Any:
    """Let the graph itself take uint8 pixels with channels last."""
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return steps.build()


def _manifest(network: DetectorNetwork, image_size: int) -> ReleaseManifest:
    return ReleaseManifest(0, network.labels, image_size, "f32", {}, {}, None, {})
