"""FastAPI with ultralytics behind one route, as tutorials of both show: `uvicorn ...:app`.

`PEER_WEIGHTS` may be a checkpoint or a folder that ultralytics exported for OpenVINO.
"""

from __future__ import annotations

import io
import os
from typing import Any

from fastapi import FastAPI, UploadFile
from PIL import Image
from ultralytics.models import YOLO

app = FastAPI()
model = YOLO(os.environ["PEER_WEIGHTS"], task="detect")
image_size = int(os.environ["PEER_IMAGE_SIZE"])


@app.post("/predict")
async def predict(file: UploadFile) -> list[dict[str, Any]]:
    """Return boxes, classes and confidences of one photo."""
    image = Image.open(io.BytesIO(await file.read()))
    (found,) = model.predict(image, imgsz=image_size, verbose=False)
    return [
        {"name": found.names[int(kind)], "confidence": float(confidence), "box": [float(side) for side in box]}
        for box, confidence, kind in zip(found.boxes.xyxy, found.boxes.conf, found.boxes.cls, strict=True)
    ]
