"""`model.base: none`: the train stage needs no weights file and fetches none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.fakes.photos import PARAMS_FILE

ROOT = Path(__file__).parents[2]
TRAIN_AND_LOOK = """
from workers.stages.stage import WEIGHTS, run_stage
from workers.stages.train import train

run_stage(train)
from workers.stages.network import load_network

print(load_network(WEIGHTS).labels)
"""


def test_a_network_is_trained_from_nothing_but_photos(tmp_path: Path) -> None:
    params = yaml.safe_load(PARAMS_FILE.read_text())
    params["model"] |= {"base": "none", "image_size": 64}
    params["training"] |= {"epochs": 1, "batch_size": 4}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    _lay_out_photos(tmp_path / "build" / "dataset")
    (tmp_path / "build" / "dataset.json").write_text("{}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "provenance.json").write_text("{}")

    environment = os.environ | {"PYTHONPATH": str(ROOT), "DAMAGELOOP_WEIGHTS_DIR": str(tmp_path / "nowhere")}
    command = [sys.executable, "-c", TRAIN_AND_LOOK]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "('scratch', 'dent')"
    assert json.loads((tmp_path / "build" / "progress.json").read_text())["share"] == 0.88
    # Nothing was fetched or written beside the stage's own folder.
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "build", "data"}
    assert not list(tmp_path.rglob("yolo11n.pt"))


def _lay_out_photos(dataset: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (dataset / kind / split).mkdir(parents=True)
        paths = []
        for number in range(4):
            path = dataset / "images" / split / f"{number}.png"
            Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)
            (dataset / "labels" / split / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.4 0.4\n")
            paths.append(f"{path.resolve()}\n")
        (dataset / f"{split}.txt").write_text("".join(paths))
