"""A minimal label-studio-ml backend around ultralytics, for gunicorn as its own `_wsgi.py` is: `gunicorn ...:app`.

Photos are read from disk: nothing is downloaded, which is kind to it.
"""

from __future__ import annotations

import os
from typing import Any

from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase
from ultralytics.models import YOLO


class Yolo(LabelStudioMLBase):  # type: ignore[misc]
    """Answers tasks one after another, as its examples do."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = YOLO(os.environ["PEER_WEIGHTS"], task="detect")

    def predict(self, tasks: list[dict[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:
        return [self._one(task["data"]["image"]) for task in tasks]

    def _one(self, path: str) -> dict[str, Any]:
        (found,) = self.model.predict(path, imgsz=int(os.environ["PEER_IMAGE_SIZE"]), verbose=False)
        height, width = found.orig_shape
        regions = [
            {
                "from_name": "label",
                "to_name": "image",
                "type": "rectanglelabels",
                "score": confidence,
                "value": {
                    "rectanglelabels": [found.names[int(kind)]],
                    "x": 100.0 * left / width,
                    "y": 100.0 * top / height,
                    "width": 100.0 * (right - left) / width,
                    "height": 100.0 * (bottom - top) / height,
                },
            }
            for (left, top, right, bottom), confidence, kind in zip(
                found.boxes.xyxy.tolist(), found.boxes.conf.tolist(), found.boxes.cls.tolist(), strict=True
            )
        ]
        return {"result": regions, "score": max((region["score"] for region in regions), default=0.0)}


app = init_app(model_class=Yolo)
