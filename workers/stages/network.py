"""The torch side of the detector: a YOLO checkpoint with its extra outputs. Reads local files only."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from damageloop.adapters.engines.yolo import DetectionRules, Floats, Letterbox, RawOutput, decode, letterbox, size_of
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.ports import RgbImage
from workers.stages.quiet import quiet_ultralytics

# What ultralytics and torch raise on a file that is no checkpoint of theirs.
_LOADING_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    TypeError,
    KeyError,
    EOFError,
    AttributeError,
    ImportError,
)


class DetectorNetwork(nn.Module):
    """A YOLO detection model whose forward pass also gives localization entropy, an embedding and box features.

    Args:
        model: An ultralytics `DetectionModel`.

    Attributes:
        has_entropy: Whether sides are distributions (DFL); YOLO26 predicts bare numbers.

    Raises:
        InvalidInputError: If the model is no detector with a one-to-many head, whose boxes need NMS.
    """

    # ultralytics' model tells little of its types.
    model: Any

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        layers = getattr(model, "model", None)
        head: Any = layers[-1] if isinstance(layers, nn.Sequential) else None
        if type(head).__name__ != "Detect" or getattr(head, "cv2", None) is None:
            raise InvalidInputError("The weights hold no YOLO detector with a one-to-many head.")
        self.model = model.eval()
        if hasattr(head, "one2one_cv2"):
            head.end2end = False
        self.has_entropy = int(head.reg_max) > 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the class names in the order of the scores."""
        names: Mapping[int, str] = self.model.names
        return tuple(names[index] for index in sorted(names))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Return the names of the outputs in the order of `forward`."""
        entropy = ("dfl_entropy",) if self.has_entropy else ()
        return ("output0", *entropy, "embedding", "anchor_features")

    @contextmanager
    def any_size(self) -> Iterator[None]:
        """Within it the head lays out its anchors by its input's size, so that a trace is good for every size."""
        head = self.model.model[-1]
        before, head.dynamic = head.dynamic, True
        try:
            yield
        finally:
            # What was laid out within a trace belongs to the trace.
            head.dynamic, head.shape = before, None

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the network on RGB images, shape (n_images, 3, height, width), values 0 to 1.

        Height and width are multiples of the largest stride, 32.

        Returns:
            `output0` (n_images, 4 + n_classes, n_anchors): centre boxes in input pixels and sigmoid class
            scores, before NMS; `dfl_entropy` (n_images, n_anchors), 0 to 1, where the model has it;
            `embedding` (n_images, n_features): the head's input maps, each averaged over its cells;
            `anchor_features` (n_images, n_channels, n_anchors): the class branch before its last layer.
        """
        return self.read_head(self._head_inputs(images))

    def read_head(self, features: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return what `forward` does, from the maps that the head reads."""
        head = self.model.model[-1]
        seen = [_but_last(branch, level) for branch, level in zip(head.cv3, features, strict=True)]
        boxes = [branch(level) for branch, level in zip(head.cv2, features, strict=True)]
        scores = [branch[-1](level) for branch, level in zip(head.cv3, seen, strict=True)]
        # What `forward_head` of ultralytics returns, which computes the same and keeps nothing between.
        raw = {"boxes": _all_anchors(boxes), "scores": _all_anchors(scores), "feats": features}
        output0 = head._inference(raw)  # noqa: SLF001 - the decoding that ultralytics validates and exports with
        entropy = [_side_entropy(raw["boxes"], int(head.reg_max))] if self.has_entropy else []
        embedding = torch.cat([level.mean(dim=(2, 3)) for level in features], dim=1)
        return output0, *entropy, embedding, _all_anchors(seen)

    def _head_inputs(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Run all layers but the head, as ultralytics' own `_predict_once` does."""
        layers, kept = self.model.model, frozenset(self.model.save)
        current = images
        outputs: list[torch.Tensor | None] = []
        for layer in layers[:-1]:
            current = layer(layer_inputs(layer, current, outputs))
            outputs.append(current if layer.i in kept else None)
        inputs: list[torch.Tensor] = layer_inputs(layers[-1], current, outputs)
        return inputs


class TorchDetector:
    """`Detector` on torch: for evaluation in training and as the reference for exports."""

    def __init__(self, network: DetectorNetwork, manifest: ReleaseManifest, rules: DetectionRules) -> None:
        self._network = network
        self._manifest = manifest
        self._rules = rules
        # The head keeps its anchor grid on itself.
        self._lock = threading.Lock()

    @property
    def manifest(self) -> ReleaseManifest:
        """What is loaded."""
        return self._manifest

    @property
    def n_parallel(self) -> int:
        """Return how many images it is worth to have in work at a time."""
        return 1

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        """Return what the model says of one upright RGB image. Safe to call from threads."""
        raw, frame = self.forward(image)
        answer = decode(raw, frame, size_of(image), self._manifest.labels, self._rules)
        return answer if size_wh is None else answer.told_in(size_of(image), size_wh)

    def forward(self, image: RgbImage) -> tuple[RawOutput, Letterbox]:
        """Return what the network gives before boxes are chosen, and the frame it saw."""
        frame = letterbox(image, self._manifest.image_size)
        return self.infer(frame.pixels), frame

    def infer(self, pixels: RgbImage) -> RawOutput:
        """Return what the network gives of its input, shape (height, width, 3), both multiples of the stride."""
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
        device = next(self._network.parameters()).device
        with self._lock, torch.inference_mode():
            outputs = self._network(torch.from_numpy(planes).to(device).float() / 255.0)
        arrays: dict[str, Floats] = {
            name: output[0].float().cpu().numpy()
            for name, output in zip(self._network.output_names, outputs, strict=True)
        }
        return RawOutput(arrays["output0"], arrays.get("dfl_entropy"), arrays["embedding"], arrays["anchor_features"])


def load_network(weights: Path) -> DetectorNetwork:
    """Read an ultralytics checkpoint from a local file, in single precision on the CPU.

    Raises:
        NotFoundError: If there is no such file; nothing is downloaded.
        InvalidInputError: If the file is no YOLO detector.
    """
    if not weights.is_file():
        raise NotFoundError(f"There is no weights file {weights}.")
    quiet_ultralytics()
    from ultralytics.models import YOLO

    try:
        model: Any = YOLO(str(weights), task="detect").model
    except _LOADING_ERRORS as exc:
        raise InvalidInputError(f"{weights.name} is no YOLO checkpoint that ultralytics can read.") from exc
    return DetectorNetwork(model.float())


def layer_inputs(
    layer: Any, current: torch.Tensor, outputs: Sequence[torch.Tensor | None] | Mapping[int, torch.Tensor]
) -> Any:
    """Return what a layer reads: its `f` names earlier layers, -1 the one before it."""
    source = layer.f
    if isinstance(source, int):
        return current if source == -1 else outputs[source]
    return [current if index == -1 else outputs[index] for index in source]


def _but_last(branch: nn.Sequential, level: torch.Tensor) -> torch.Tensor:
    # Layer by layer: a slice of the branch would be a module of its own, which the tracer does not know.
    for layer in list(branch)[:-1]:
        level = layer(level)
    return level


def _all_anchors(levels: list[torch.Tensor]) -> torch.Tensor:
    """Return maps of several levels as one (n_images, n_channels, n_anchors)."""
    return torch.cat([level.flatten(2) for level in levels], dim=2)


def _side_entropy(side_logits: torch.Tensor, n_bins: int) -> torch.Tensor:
    """Return the mean entropy of an anchor's four side distributions, over its maximum ln(n_bins)."""
    n_images, _, n_anchors = side_logits.shape
    log_shares = side_logits.view(n_images, 4, n_bins, n_anchors).log_softmax(dim=2)
    entropy = -(log_shares.exp() * log_shares).sum(dim=2)
    return entropy.mean(dim=1) / math.log(n_bins)
