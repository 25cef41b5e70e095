"""LitServe with ultralytics, as its documentation shows: `python -m ...litserve_ultralytics [WORKERS]`."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import litserve
from PIL import Image


class DetectApi(litserve.LitAPI):  # type: ignore[misc]
    """Loads the model once in each worker."""

    def setup(self, device: str) -> None:
        from ultralytics.models import YOLO

        self.model = YOLO(os.environ["PEER_WEIGHTS"], task="detect")

    # Without a type: one that LitServe does not know it takes for a query parameter.
    def decode_request(self, request) -> Image.Image:  # type: ignore[no-untyped-def]
        return Image.open(io.BytesIO(request["file"].file.read()))

    def predict(self, image: Image.Image) -> Any:
        return self.model.predict(image, imgsz=int(os.environ["PEER_IMAGE_SIZE"]), verbose=False)[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        boxes = output.boxes
        return {"boxes": boxes.xyxy.tolist(), "confidences": boxes.conf.tolist(), "classes": boxes.cls.tolist()}


def main() -> None:
    """Serve until the process is ended."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    server = litserve.LitServer(DetectApi(), accelerator="cpu", workers_per_device=workers)
    server.run(port=int(os.environ["PEER_PORT"]), host="127.0.0.1", generate_client_file=False)


if __name__ == "__main__":
    main()
