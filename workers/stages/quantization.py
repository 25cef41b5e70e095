"""An exported graph in int8, by NNCF on photos of the training; what decides boxes stays in f32."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from damageloop.adapters.engines.openvino import load_openvino
from damageloop.errors import DamageloopError
from damageloop.ports import RgbImage

# The last convolution of each branch of the head: boxes (cv2) and class scores (cv3), one for each level.
_LAST_LAYERS = (".cv2.", ".cv3.")
_LAST_OF_BRANCH = ".2/aten::_convolution/Convolution"


def quantize(model_file: Path, target: Path, inputs: Sequence[Callable[[], RgbImage]], keep_ends: bool = False) -> None:
    """Write the int8 graph of an exported f32 one.

    Convolutions compute in int8, symmetric weights and asymmetric activations. What comes after the last of them (the
    side distributions, the boxes, the entropy) and the embedding's means stay in f32: in int8 a box would move by
    several pixels.

    Args:
        model_file: A graph of `openvino_export`.
        inputs: Each loads a photo to calibrate on, letterboxed as photos are served, (height, width, 3).
        keep_ends: Also keep the first convolution and the last of each branch of the head in f32.

    Raises:
        DamageloopError: If the graph can't be quantized.
    """
    ov, nncf = load_openvino(), _load_nncf()
    model = ov.Core().read_model(model_file)
    last = _last_layers(model)
    kept = [*_after(last), *(_names([_first_layer(model), *last]) if keep_ends else ())]
    try:
        quantized = nncf.quantize(
            model,
            nncf.Dataset(inputs, lambda load: load()[None]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(names=kept, types=["ReduceMean"], validate=False),
        )
    except (RuntimeError, nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError) as exc:
        raise DamageloopError(f"{model_file.name} could not be quantized to int8: {exc}") from exc
    target.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(quantized, target, compress_to_fp16=False)


def _load_nncf() -> Any:
    """Import NNCF, which finds no telemetry once `load_openvino` has barred it."""
    import nncf

    # Not `nncf.set_log_level`: it also turns down handlers, and some of them belong to others.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


def _first_layer(model: Any) -> Any:
    return next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")


def _last_layers(model: Any) -> list[Any]:
    found = [node for node in model.get_ordered_ops() if _is_last_layer(node.get_friendly_name())]
    if not found:
        raise DamageloopError("The graph has no head whose layers have the names of a YOLO export.")
    return found


def _is_last_layer(name: str) -> bool:
    return name.endswith(_LAST_OF_BRANCH) and any(part in name for part in _LAST_LAYERS)


def _after(nodes: Iterable[Any]) -> list[str]:
    """Return the names of all nodes that read what these give, directly or not."""
    found: dict[str, None] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        readers = [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]
        for reader in readers:
            if reader.get_friendly_name() not in found and reader.get_type_name() != "Result":
                found[reader.get_friendly_name()] = None
                waiting.append(reader)
    return list(found)


def _names(nodes: Iterable[Any]) -> list[str]:
    return [node.get_friendly_name() for node in nodes]
