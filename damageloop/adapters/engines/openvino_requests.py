"""Infer requests of one compiled model, and their outputs read in place."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from damageloop.adapters.engines.openvino_graph import (
    OUTPUT_BOXES,
    OUTPUT_CONFIDENCE,
    OUTPUT_EMBEDDING,
    OUTPUT_ENTROPY,
    OUTPUT_FEATURES,
    level_names,
)
from damageloop.adapters.engines.yolo import Canvas, Floats, Indices, Letterbox, RawOutput, side_entropy
from damageloop.ports import RgbImage


class InferRequest:
    """One infer request, which takes one image after another: what it gave is gone with the next image.

    It implements `AnchorOutput` on the request's own memory.
    """

    def __init__(self, request: Any, names: frozenset[str]) -> None:
        self._request = request
        self._names = names
        self._entropy_levels = level_names(OUTPUT_ENTROPY, names)
        self._feature_levels = level_names(OUTPUT_FEATURES, names)
        self._canvas = Canvas(request.get_input_tensor().data[0])
        # The memory of a request is made when it is first used.
        request.infer(share_outputs=True)

    def run(self, image: RgbImage) -> Letterbox:
        """Run the network on an image and return the frame it saw. Raises RuntimeError."""
        frame = self._canvas.draw(image)
        self._request.infer(share_outputs=True)
        return frame

    @property
    def output0(self) -> Floats:
        """Return boxes and class scores, shape (4 + n_classes, n_anchors)."""
        return self._output(OUTPUT_BOXES)

    @property
    def embedding(self) -> Floats:
        """Return pooled features, shape (n_features,)."""
        return self._output(OUTPUT_EMBEDDING)

    def confidences(self) -> Floats:
        """Return the highest class score of every anchor, shape (n_anchors,)."""
        return self._output(OUTPUT_CONFIDENCE)

    def entropy_of(self, anchors: Indices) -> Floats | None:
        """Return the localization entropy of these anchors, or None where the model has none."""
        if self._entropy_levels:
            return side_entropy(self._rows(self._entropy_levels, anchors))
        return self._output(OUTPUT_ENTROPY)[anchors] if OUTPUT_ENTROPY in self._names else None

    def features_of(self, anchors: Indices) -> Floats | None:
        """Return the features of these anchors, shape (n, n_channels), in memory of their own, or None."""
        if self._feature_levels:
            return self._rows(self._feature_levels, anchors)
        if OUTPUT_FEATURES not in self._names:
            return None
        return np.ascontiguousarray(self._output(OUTPUT_FEATURES)[:, anchors].T)

    def copied(self) -> RawOutput:
        """Return everything, over all anchors, in memory of its own."""
        anchors = np.arange(self.output0.shape[1])
        entropy, features = self.entropy_of(anchors), self.features_of(anchors)
        planar = None if features is None else np.ascontiguousarray(features.T)
        return RawOutput(self.output0.copy(), entropy, self.embedding.copy(), planar)

    def _output(self, name: str) -> Floats:
        values: Floats = self._request.get_tensor(name).data[0]
        return values

    def _rows(self, names: list[str], anchors: Indices) -> Floats:
        """Return rows of maps level by level, (height, width, n_channels) each, by the anchors' numbers over all."""
        levels = [level.reshape(-1, level.shape[-1]) for level in map(self._output, names)]
        ends = np.cumsum([len(level) for level in levels])
        rows = np.empty((len(anchors), levels[0].shape[1]), dtype=np.float32)
        for level, end in zip(levels, ends, strict=True):
            is_here = (anchors >= end - len(level)) & (anchors < end)
            rows[is_here] = level[anchors[is_here] - (end - len(level))]
        return rows


class RequestPool:
    """Infer requests that threads share; who finds none free waits.

    Args:
        compiled: The model that they are made of.
        n_requests: How many images it computes at a time.
    """

    def __init__(self, compiled: Any, n_requests: int) -> None:
        names = frozenset(name for port in compiled.outputs for name in port.get_names())
        self._free: queue.SimpleQueue[InferRequest] = queue.SimpleQueue()
        for _ in range(n_requests):
            # Each is used once before the next is made: two that were first used at once have hung a start.
            self._free.put(InferRequest(compiled.create_infer_request(), names))

    @contextmanager
    def lease(self) -> Iterator[InferRequest]:
        """Give a request that nobody else uses meanwhile."""
        request = self._free.get()
        try:
            yield request
        finally:
            self._free.put(request)
