"""The pipeline without any server, written apart from the platform's engine: `python -m benchmarks.serving.bare TASK`.

Decode (simplejpeg), letterbox (OpenCV), forward (OpenVINO), the choice of boxes. It reads one number of seconds a line
and answers each with one line of JSON, so that it has its turns as the servers have theirs.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.child import memory_mb
from damageloop.adapters.engines.openvino_graph import (
    OUTPUT_BOXES,
    OUTPUT_CONFIDENCE,
    load_openvino,
    serving_graph,
)
from damageloop.domain.geometry import iou_matrix

LATENCY, THROUGHPUT = "LATENCY", "THROUGHPUT"
N_STREAMS = 2
_FLOOR, _NMS_IOU, _MAX_BOXES = 0.05, 0.6, 100
_GRAY = 114


class Pipeline:
    """A compiled model with what goes around it.

    Args:
        graph: A graph whose first output is (1, 4 + n_classes, n_anchors). One that takes floats with channels first
            gets uint8 with channels last put before it.
        precision: `f32` or `bf16`.
        hint: `LATENCY`, or `THROUGHPUT` with two streams.
        size_hw: Height and width of the input.
        has_extras: Keep the further outputs of the graph and read them, as active learning needs; else they are cut.
        is_as_served: Make the graph ready as the platform's engine does.
    """

    def __init__(
        self, graph: Path, precision: str, hint: str, size_hw: tuple[int, int], has_extras: bool, is_as_served: bool
    ) -> None:
        ov = load_openvino()
        core = ov.Core()
        model = _model(ov, core.read_model(graph), size_hw, has_extras, is_as_served)
        config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": hint}
        if hint == THROUGHPUT:
            config["NUM_STREAMS"] = N_STREAMS
        compiled = core.compile_model(model, "CPU", config)
        named = [port for port in compiled.outputs if "output0" in port.get_names()]
        self._boxes = named[0] if named else compiled.output(0)
        self._extras = [port for port in compiled.outputs if not port.get_names() & {OUTPUT_BOXES, OUTPUT_CONFIDENCE}]
        self._size_hw = size_hw
        self._has_extras = has_extras
        self.requests = [compiled.create_infer_request() for _ in range(N_STREAMS if hint == THROUGHPUT else 1)]
        for request in self.requests:
            # One after another: two that were first used at once have hung a start.
            request.infer(np.zeros((1, *size_hw, 3), dtype=np.uint8))

    def run(self, request: Any, content: bytes) -> int:
        """Return the number of boxes on one photo."""
        image = simplejpeg.decode_jpeg(content) if simplejpeg.is_jpeg(content) else _with_pillow(content)
        frame, scale, pad = _letterbox(image, self._size_hw)
        request.infer(frame[None])
        raw = request.get_tensor(self._boxes).data[0]
        anchors, boxes = _choose(raw)
        if self._has_extras:
            self._read_extras(request, anchors)
        boxes[:, [0, 2]] = (boxes[:, [0, 2]] - pad[0]) / scale
        boxes[:, [1, 3]] = (boxes[:, [1, 3]] - pad[1]) / scale
        return len(boxes)

    def _read_extras(self, request: Any, anchors: list[int]) -> None:
        for port in self._extras:
            data = request.get_tensor(port).data[0]
            # As many rows as there are boxes: which of them costs the same.
            _ = np.array(data.reshape(-1, data.shape[-1])[: max(1, len(anchors))])


def _model(ov: Any, model: Any, size_hw: tuple[int, int], has_extras: bool, is_as_served: bool) -> Any:
    takes_bytes = model.input(0).get_element_type() == ov.Type.u8
    if not takes_bytes:
        steps = ov.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NCHW"))
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
        model = steps.build()
    if is_as_served:
        # The platform's graph as its engine makes it ready, with and without what active learning reads.
        model = serving_graph(model, size_hw)
    if not has_extras:
        _keep_outputs(model, (OUTPUT_BOXES, OUTPUT_CONFIDENCE))
    if model.is_dynamic() or list(model.input(0).shape)[1:3] != list(size_hw):
        model.reshape([1, *size_hw, 3])
    return model


def _keep_outputs(model: Any, names: Sequence[str]) -> None:
    """Remove all outputs but those of these names; a graph that names none of them keeps its first."""
    named = [(result, result.input(0).get_source_output().get_names()) for result in model.get_results()]
    kept = [result for result, found in named if found & set(names)] or [named[0][0]]
    for result, _ in named:
        if result not in kept:
            model.remove_result(result)


def _letterbox(image: Any, size_hw: tuple[int, int]) -> tuple[Any, float, tuple[int, int]]:
    height, width = image.shape[:2]
    scale = min(size_hw[0] / height, size_hw[1] / width)
    new_h, new_w = max(1, round(height * scale)), max(1, round(width * scale))
    if (new_h, new_w) != (height, width):
        image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    top, left = (size_hw[0] - new_h) // 2, (size_hw[1] - new_w) // 2
    if (new_h, new_w) == size_hw:
        return image, scale, (left, top)
    frame = np.full((*size_hw, 3), _GRAY, dtype=np.uint8)
    frame[top : top + new_h, left : left + new_w] = image
    return frame, scale, (left, top)


def _choose(raw: Any) -> tuple[list[int], Any]:
    """Return anchors and corner boxes of what stays, by falling score."""
    scores = raw[4:].max(axis=0)
    anchors = np.flatnonzero(scores >= _FLOOR)
    kinds, scores = raw[4:, anchors].argmax(axis=0), scores[anchors]
    centres, halves = raw[:2, anchors].T, raw[2:4, anchors].T / 2.0
    boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float64)
    left = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(left) and len(kept) < _MAX_BOXES:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        overlaps = iou_matrix(boxes[best : best + 1], boxes[rest])[0]
        left = rest[(overlaps <= _NMS_IOU) | (kinds[rest] != kinds[best])]
    return [int(anchors[i]) for i in kept], boxes[kept]


def _with_pillow(content: bytes) -> Any:
    import io

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def turn(pipeline: Pipeline, contents: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Run photos for so long, one thread for each infer request; return the figures of this turn."""
    latencies: list[float] = []
    numbers = iter(range(10**9))
    lock = threading.Lock()
    began, cpu = time.perf_counter(), time.process_time()

    def work(request: Any) -> None:
        while (start := time.perf_counter()) - began < seconds:
            with lock:
                number = next(numbers)
            pipeline.run(request, contents[number % len(contents)])
            latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(request,)) for request in pipeline.requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, n = time.perf_counter() - began, len(latencies)
    p50, p95 = (float(np.percentile(latencies, q)) * 1000.0 for q in (50, 95))
    return {
        "n_requests": n,
        "n_errors": 0,
        "seconds": round(took, 3),
        "requests_per_s": round(n / took, 3),
        "p50_ms": round(p50, 3),
        "p95_ms": round(p95, 3),
        "p99_ms": round(float(np.percentile(latencies, 99)) * 1000.0, 3),
        "cpu_ms": round((time.process_time() - cpu) / n * 1000.0, 3),
        "peak_mb": round(memory_mb("VmHWM"), 1),
    }


def main() -> None:
    """Load the model, say so, and take turns until standard input ends."""
    task: Mapping[str, Any] = json.loads(sys.argv[1])
    began = time.perf_counter()
    contents = [path.read_bytes() for path in sorted(Path(task["photos"]).glob("*.jpg"))]
    height, width = task["size_hw"]
    pipeline = Pipeline(
        Path(task["graph"]),
        task["precision"],
        task["hint"],
        (height, width),
        bool(task.get("has_extras")),
        bool(task.get("is_as_served")),
    )
    print(json.dumps({"start_s": round(time.perf_counter() - began, 3)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(turn(pipeline, contents, float(line))), flush=True)


if __name__ == "__main__":
    main()
