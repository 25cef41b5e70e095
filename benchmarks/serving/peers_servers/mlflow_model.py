"""Saves a pyfunc model around ultralytics for `mlflow models serve`: `python -m ...mlflow_model FOLDER`."""

from __future__ import annotations

import base64
import io
import os
import sys
from typing import Any

import mlflow.pyfunc
from PIL import Image


class DetectModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Takes a column `image` of base64 text."""

    def load_context(self, context: Any) -> None:
        from ultralytics.models import YOLO

        self.model = YOLO(context.artifacts["weights"], task="detect")

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[dict[str, Any]]:
        images = [Image.open(io.BytesIO(base64.b64decode(text))) for text in model_input["image"]]
        found = self.model.predict(images, imgsz=int(os.environ["PEER_IMAGE_SIZE"]), verbose=False)
        all_boxes = [one.boxes for one in found]
        return [
            {"boxes": boxes.xyxy.tolist(), "confidences": boxes.conf.tolist(), "classes": boxes.cls.tolist()}
            for boxes in all_boxes
        ]


def main() -> None:
    """Save the model."""
    mlflow.pyfunc.save_model(
        sys.argv[1],
        python_model=DetectModel(),
        artifacts={"weights": os.environ["PEER_WEIGHTS"]},
        pip_requirements=["ultralytics"],
    )


if __name__ == "__main__":
    main()
