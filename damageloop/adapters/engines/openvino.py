"""The detector that serves: a release's OpenVINO model on the CPU. Imports no torch, calls no one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from damageloop.adapters.engines.openvino_graph import load_openvino, serving_graph, shared_core
from damageloop.adapters.engines.openvino_requests import InferRequest, RequestPool
from damageloop.adapters.engines.traffic import Traffic
from damageloop.adapters.engines.yolo import DetectionRules, Letterbox, RawOutput, decode, size_of
from damageloop.domain.input_shape import choose_shape
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.errors import ConflictError, InvalidInputError, UnavailableError
from damageloop.ports import RgbImage

__all__ = ["MODEL_FILE", "PRECISIONS", "WEIGHTS_FILE", "OpenVinoDetector", "load_openvino", "shared_core"]

MODEL_FILE = "model.xml"
WEIGHTS_FILE = "model.bin"
# What OpenVINO is told to compute in, by the precision of a release: a quantised graph says itself what is int8, and
# the rest of it is computed in f32.
PRECISIONS = {"f32": "f32", "bf16": "bf16", "int8": "f32"}

# OpenVINO's names of two ways to compile: one image at a time by all threads, or as many as there are threads.
LATENCY, THROUGHPUT = "LATENCY", "THROUGHPUT"


class OpenVinoDetector:
    """`Detector` on models compiled for each shape of input, and for one image at a time or many.

    One image alone is computed by all threads together; of many each is computed by one thread, as many at a time as
    there are threads. The square is compiled and warmed up at once, another shape when the first photo of it comes: it
    takes memory.

    Args:
        folder: A verified release folder with `model.xml` and `model.bin`.
        manifest: What the folder holds.
        rules: Which boxes are kept.
        precision: `f32`, `bf16` or `int8`; None takes the manifest's. OpenVINO is always told: left to itself it
            computes in bf16 where the CPU can, which moves boxes and scores.
        n_threads: CPU threads; 0 takes as many as this process may use.
        shapes: Which shapes of input photos may be seen through. A graph of a fixed size has its square only.
        warm_shapes: Compile these at once as well.

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
        shapes: Sequence[InputShape] = (InputShape.SQUARE,),
        warm_shapes: Sequence[InputShape] = (),
    ) -> None:
        self._manifest = manifest
        self._rules = rules
        self._source = _Source(folder / MODEL_FILE, precision or manifest.precision, manifest.image_size, n_threads)
        self._shapes = tuple(shapes) if self._source.is_any_size else (InputShape.SQUARE,)
        self._traffic = Traffic()
        self._compiling = threading.Lock()
        self._pools: dict[tuple[InputShape, str], RequestPool] = {}
        for shape in (InputShape.SQUARE, *warm_shapes):
            if shape in self._shapes:
                for load in (LATENCY, THROUGHPUT):
                    self._pool(shape, load)

    @property
    def manifest(self) -> ReleaseManifest:
        """What is loaded."""
        return self._manifest

    @property
    def n_parallel(self) -> int:
        """Return how many images it is worth to have in work at a time."""
        return self._source.n_threads

    @property
    def shapes_in_use(self) -> tuple[InputShape, ...]:
        """Return the shapes that are compiled: those that photos came in, and the square."""
        return tuple(dict.fromkeys(shape for shape, _ in tuple(self._pools)))

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        """Return what the model says of one upright RGB image. Safe to call from threads."""
        with self._seen(image, size_wh) as (request, frame):
            # Read before the request is given back: what it holds is many times what is kept.
            answer = decode(request, frame, size_of(image), self._manifest.labels, self._rules)
        return answer if size_wh is None else answer.told_in(size_of(image), size_wh)

    def forward(self, image: RgbImage) -> tuple[RawOutput, Letterbox]:
        """Return what the network gives before boxes are chosen, and the frame it saw."""
        with self._seen(image, None) as (request, frame):
            return request.copied(), frame._replace(pixels=frame.pixels.copy())

    @contextmanager
    def _seen(self, image: RgbImage, size_wh: tuple[int, int] | None) -> Iterator[tuple[InferRequest, Letterbox]]:
        shape = choose_shape(size_wh or size_of(image), self._manifest.image_size, self._shapes)
        with self._traffic.passing() as is_alone:
            pool = self._pool(shape, LATENCY if is_alone else THROUGHPUT)
            with pool.lease() as request:
                try:
                    frame = request.run(image)
                except RuntimeError as exc:
                    raise UnavailableError(f"OpenVINO failed on model {self._manifest.model_version}.") from exc
                yield request, frame

    def _pool(self, shape: InputShape, load: str) -> RequestPool:
        key = shape, load if self._source.n_threads > 1 else LATENCY
        pool = self._pools.get(key)
        if pool is not None:
            return pool
        with self._compiling:
            pool = self._pools.get(key)
            if pool is None:
                compiled = self._source.compiled(shape.size_hw(self._manifest.image_size), key[1])
                pool = self._pools[key] = RequestPool(compiled, self._source.n_streams(key[1]))
            return pool


class _Source:
    """A graph as a release has it, and how it is to be computed."""

    def __init__(self, model_file: Path, precision: str, image_size: int, n_threads: int) -> None:
        if precision not in PRECISIONS:
            raise InvalidInputError(f"Precision {precision!r} is unknown: use one of {', '.join(PRECISIONS)}.")
        self.n_threads = n_threads or len(os.sched_getaffinity(0))
        self._name = model_file.name
        self._hints = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "INFERENCE_NUM_THREADS": self.n_threads}
        with self._told():
            self._core = shared_core()
            self._model = self._core.read_model(model_file)
        self.is_any_size = bool(self._model.is_dynamic())
        expected = [1, image_size, image_size, 3]
        if not self.is_any_size and list(self._model.input(0).shape) != expected:
            shape = list(self._model.input(0).shape)
            raise ConflictError(f"The model takes images of shape {shape}, its manifest says {expected}.")

    def n_streams(self, load: str) -> int:
        """Return how many images are computed at a time."""
        return self.n_threads if load == THROUGHPUT else 1

    def compiled(self, size_hw: tuple[int, int], load: str) -> Any:
        """Return the model compiled for one shape and load."""
        config = {**self._hints, "PERFORMANCE_HINT": load, "NUM_STREAMS": self.n_streams(load)}
        with self._told():
            return self._core.compile_model(serving_graph(self._model, size_hw), "CPU", config)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as exc:
            raise ConflictError(f"{self._name} of this release is no model that OpenVINO can load.") from exc
