"""Exports base weights in a process of its own, so that torch is loaded by no process that stays."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from damageloop.adapters.weights import find_weights
from damageloop.errors import UnavailableError
from damageloop.ports import BaseExport

RELEASED = ("model.xml", "model.bin", "model.onnx", "model.torchscript", "weights.pt")


class BaseExporter:
    """Implements `ExportBase`. The files live as long as the object.

    Args:
        weights_folders: Where weights are looked for.
        formats: What is written besides OpenVINO: of `onnx` and `torchscript`.
    """

    def __init__(self, weights_folders: Sequence[Path], formats: Sequence[str] = ()) -> None:
        self._folders = weights_folders
        self._formats = formats
        self._scratch = tempfile.TemporaryDirectory(prefix="damageloop-base-")

    def __call__(self, name: str, image_size: int, classes: tuple[str, ...]) -> BaseExport:
        """Return the exported base.

        Raises:
            NotFoundError: If the weights file is missing.
            UnavailableError: If the export broke; the sentence ends with the last line of its output.
        """
        weights = find_weights(name, self._folders)
        out = Path(self._scratch.name)
        command = [sys.executable, "-m", "workers.stages.export_base", str(weights), str(image_size), str(out)]
        options = [f"--{name}" for name in self._formats]
        done = subprocess.run([*command, *classes, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise UnavailableError(f"Exporting {name} failed: {last}")
        told = json.loads((out / "export.json").read_text())
        files = {name: out / name for name in RELEASED if (out / name).exists()}
        return BaseExport(tuple(told["labels"]), told["sha256"], files)
