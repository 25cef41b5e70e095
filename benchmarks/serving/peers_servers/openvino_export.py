"""Lets ultralytics export a checkpoint for OpenVINO in its own way: `python -m ...openvino_export WEIGHTS SIZE FOLDER`.

Prints the classes as JSON. FOLDER gets a copy of the weights and the exported folder beside it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ultralytics.models import YOLO

from benchmarks.serving.peers_servers.names import WEIGHTS


def main() -> None:
    """Export, where that was not done before."""
    weights, size, folder = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / WEIGHTS)
    model = YOLO(str(folder / WEIGHTS), task="detect")
    model.export(format="openvino", imgsz=size, verbose=False)
    names = model.names
    print(json.dumps([names[index] for index in sorted(names)]))


if __name__ == "__main__":
    main()
