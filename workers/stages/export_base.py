"""Export the base weights for serving: `python -m workers.stages.export_base WEIGHTS IMAGE_SIZE OUT CLASS...`.

Writes model.xml and model.bin into OUT, with `--onnx` and `--torchscript` model.onnx and model.torchscript too, and
export.json with the classes of the weights. weights.pt is copied too where these are the classes asked for; a head
that will be replaced serves no one, and its network gives embeddings alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from workers.stages.quiet import quiet_ultralytics


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("image_size", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("classes", nargs="+")
    for name in ("onnx", "torchscript"):
        parser.add_argument(f"--{name}", dest="formats", action="append_const", const=f"model.{name}", default=[])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    quiet_ultralytics()
    export_base(arguments.weights, arguments.image_size, arguments.out, tuple(arguments.classes), arguments.formats)


def export_base(
    weights: Path, image_size: int, out: Path, classes: tuple[str, ...], formats: Sequence[str] = ()
) -> None:
    """Export `weights` into `out`, with the weights themselves when their classes are `classes`."""
    # After quiet_ultralytics: importing it earlier would write settings and ask the network.
    from workers.stages.graph_formats import export_formats
    from workers.stages.network import load_network
    from workers.stages.openvino_export import export_openvino

    labels = load_network(weights).labels
    export_openvino(weights, image_size, out)
    export_formats(weights, image_size, out, formats)
    if labels == classes:
        shutil.copyfile(weights, out / "weights.pt")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    (out / "export.json").write_text(json.dumps({"labels": list(labels), "sha256": digest}))


if __name__ == "__main__":
    main()
