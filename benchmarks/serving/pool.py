"""Pre-annotation of a pool by the product's own service, a process of its own.

The whole path: read, decode, infer, store detections and features. Prints the figures as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.child import memory_mb
from damageloop.bootstrap.worker import make_worker
from damageloop.settings import Settings


def main() -> None:
    """Score the images of a prepared home under a version that has seen none of them."""
    task: Mapping[str, Any] = json.loads(sys.argv[1])
    settings = Settings(home=Path(task["home"]), mlflow_uri="http://127.0.0.1:9", label_studio_url="http://127.0.0.1:9")
    scoring = make_worker(settings).score_pool()
    detector = scoring.load_detector(int(task["version"]))
    with scoring.units(read_only=True) as work:
        images = work.images.unscored(int(task["version"]))
    # Loading is no part of a rate: a pool is large.
    detector.detect(scoring.store.photo(images[0].store_key, detector.manifest.image_size).pixels)
    object.__setattr__(scoring, "load_detector", lambda version: detector)
    told: list[str] = []
    context: Any = SimpleNamespace(progress=lambda share, message: told.append(message))
    began, cpu = time.perf_counter(), time.process_time()
    result = scoring({"model_version": task["version"]}, context)
    seconds = time.perf_counter() - began
    found = {
        "n_images": result["scored"],
        "failed": result["failed"],
        "seconds": round(seconds, 3),
        "images_per_s": round(result["scored"] / seconds, 3),
        "cpu_ms": round((time.process_time() - cpu) / max(1, result["scored"]) * 1000.0, 3),
        "peak_mb": round(memory_mb("VmHWM"), 1),
        "progress": told[-2:],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
