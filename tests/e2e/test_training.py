"""From a saved home: a real training is promoted though its worker is killed; corrupted labels are refused."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import yaml

from damageloop.domain.split import Split, split_of_group
from samples.generator import generate
from tests.e2e.platform_under_test import PlatformUnderTest

NEEDED = ("mlflow", "api", "worker-default", "worker-inference", "worker-training", "beat")
SHARES = {Split.TRAIN: 0.60, Split.VAL: 0.15, Split.TEST: 0.25}


def import_reviewed(platform: PlatformUnderTest, folder: Path, is_corrupted: bool) -> None:
    """Import 140 vehicles whose boxes people have drawn; corrupted: the train ones were drawn where nothing is."""
    coco = generate(folder, vehicles=140, views=2, seed=77, size_wh=(320, 240))
    content = json.loads(coco.read_text())
    for image in content["images"]:
        # Other vehicles than the demo's, which are numbered in the same way.
        image["group"] = f"later-{image['group']}"
    if is_corrupted:
        _corrupt(content)
    coco.write_text(json.dumps(content))
    done = platform.command("import", str(folder), "--annotations", str(coco), "--json")
    assert done["accepted"] == 280


def _corrupt(content: dict[str, Any]) -> None:
    train = {i["id"] for i in content["images"] if split_of_group(i["group"], 0, SHARES) is Split.TRAIN}
    for row in content["annotations"]:
        if row["image_id"] in train:
            # The mirrored place: as many boxes as before, of the same sizes, under the other name.
            x, y, width, height = row["bbox"]
            row["bbox"] = [320 - x - width, 240 - y - height, width, height]
            row["category_id"] = 3 - row["category_id"]


def train_with(platform: PlatformUnderTest, *, epochs: int, image_size: int) -> None:
    """Edit the workspace's params.yaml, which is the live one."""
    path = platform.settings.params_file
    params = yaml.safe_load(path.read_text())
    params["training"]["epochs"] = epochs
    params["model"]["image_size"] = image_size
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def newest_decision(platform: PlatformUnderTest) -> tuple[str, str] | None:
    rows = platform.rows("SELECT decision, reasons FROM decisions WHERE challenger > 2 ORDER BY id DESC LIMIT 1")
    return (rows[0][0], rows[0][1]) if rows else None


def start(platform: PlatformUnderTest) -> None:
    platform.command("up", *[word for name in NEEDED for word in ("--only", name)])


def test_a_training_whose_worker_is_killed_is_run_again_and_promoted(copied: PlatformUnderTest, tmp_path: Path) -> None:
    # The champion looks at 128 px, where most scratches vanish.
    train_with(copied, epochs=5, image_size=256)
    import_reviewed(copied, tmp_path / "photos", is_corrupted=False)
    start(copied)
    running = "SELECT id FROM jobs WHERE kind = 'train_challenger' AND state = 'running' AND message LIKE 'epoch%'"
    copied.wait("a running training", lambda: copied.rows(running), timeout_s=240)
    workers = {p["name"]: p["pid"] for p in copied.command("status", "--json")["processes"]}
    os.kill(workers["worker-training"], signal.SIGKILL)

    decision = copied.wait("a decision", lambda: newest_decision(copied), timeout_s=420)
    assert decision[0] == "promote", decision
    attempts = copied.rows("SELECT attempts, state FROM jobs WHERE kind = 'train_challenger' ORDER BY id DESC LIMIT 1")
    assert attempts[0][0] >= 2
    assert attempts[0][1] == "succeeded"

    version = copied.wait(
        "the new champion to serve", lambda: _serving(copied) if _serving(copied) != "1" else None, timeout_s=60
    )
    photo = next((tmp_path / "photos").glob("*.jpg"))
    answer = copied.request("POST", "/predictions", files=[("images", (photo.name, photo.read_bytes()))])
    assert answer.json()["model_version"] == version


def test_a_challenger_trained_on_corrupted_labels_is_refused(copied: PlatformUnderTest, tmp_path: Path) -> None:
    train_with(copied, epochs=4, image_size=128)
    import_reviewed(copied, tmp_path / "photos", is_corrupted=True)
    start(copied)
    decision = copied.wait("a decision", lambda: newest_decision(copied), timeout_s=420)
    assert decision[0] == "refuse", decision
    assert _serving(copied) == "1"
    params = yaml.safe_load(copied.settings.params_file.read_text())
    assert params["gate"]["map50_difference_above"] == 0.0
    assert params["gate"]["recall_difference_above"] == -0.05


def _serving(platform: PlatformUnderTest) -> str:
    return str(platform.get("/health/ready")["champion"])
