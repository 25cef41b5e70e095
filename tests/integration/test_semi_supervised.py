"""Real trainings of a few steps: what the teacher's targets do, and that they do nothing at weight 0."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from damageloop.domain.geometry import Box, to_xywhn
from damageloop.params import Params
from samples.generator import generate
from tests.fakes.photos import make_params
from workers.stages.quiet import quiet_ultralytics

STARTER = Path(__file__).parents[2] / "starter" / "starter-yolo11n.pt"
SIZE = 128
N_LABELED = 8


@dataclass(frozen=True)
class Photos:
    """A data set as ultralytics reads it, and images that it does not name."""

    folder: Path
    unlabeled: list[Path]

    def train(self, name: str, semi_supervised: dict[str, Any]) -> Any:
        """Train for two epochs and return the trainer."""
        quiet_ultralytics()
        import torch

        from workers.stages.semi_supervised import make_trainer
        from workers.stages.yolo_trainer import training_arguments

        params = _params(semi_supervised)
        arguments = training_arguments(params, str(STARTER), self.folder / name)
        arguments["data"] = str(self.folder / "data.yaml")
        trainer = make_trainer(arguments, params, self.unlabeled)
        # Nobody told OpenMP's threads to wait asleep, as a stage does: two of them would fight for busy cores.
        torch.set_num_threads(1)
        trainer.train()
        return trainer


def _params(semi_supervised: dict[str, Any]) -> Params:
    training = {"epochs": 2, "batch_size": 4, "semi_supervised": {"burn_in_share": 0.5, **semi_supervised}}
    return make_params(model={"image_size": SIZE}, training=training)


@pytest.fixture(name="photos", scope="module")
def photos_(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    folder = tmp_path_factory.mktemp("photos")
    coco = json.loads(generate(folder / "generated", vehicles=10, views=2, seed=5, size_wh=(192, 144)).read_text())
    named = {image["id"]: image for image in coco["images"]}
    files = []
    for number, (image_id, image) in enumerate(sorted(named.items())):
        part = "train" if number < N_LABELED else "val" if number < N_LABELED + 2 else "unlabeled"
        target = folder / "images" / part / image["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / "generated" / image["file_name"]).rename(target)
        files.append((part, target))
        boxes = [row for row in coco["annotations"] if row["image_id"] == image_id]
        if part != "unlabeled":
            _write_labels(folder / "labels" / part / f"{target.stem}.txt", boxes, (image["width"], image["height"]))
    for part in ("train", "val"):
        (folder / f"{part}.txt").write_text("".join(f"{file}\n" for own, file in files if own == part))
    content = {"path": str(folder), "train": "train.txt", "val": "val.txt", "names": {0: "scratch", 1: "dent"}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return Photos(folder, [file for own, file in files if own == "unlabeled"])


def _write_labels(path: Path, rows: list[dict[str, Any]], size_wh: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for row in rows:
        x, y, width, height = row["bbox"]
        numbers = " ".join(f"{value:.6f}" for value in to_xywhn(Box(x, y, x + width, y + height), size_wh))
        lines.append(f"{row['category_id'] - 1} {numbers}\n")
    path.write_text("".join(lines))


# Low thresholds: at 128 pixels the starter is sure of little.
SEMI = {"enabled": True, "confidence": 0.2, "ambiguous_from": 0.2}


def weights(trainer: Any) -> dict[str, Any]:
    """Return the averaged weights and statistics of a trained model."""
    return {name: value.numpy() for name, value in trainer.ema.ema.state_dict().items() if value.is_floating_point()}


def is_same(one: dict[str, Any], other: dict[str, Any], compare: Callable[[Any, Any], bool] = np.array_equal) -> bool:
    return one.keys() == other.keys() and all(compare(one[name], other[name]) for name in one)


@pytest.fixture(name="supervised", scope="module")
def supervised_(photos: Photos) -> dict[str, Any]:
    return weights(photos.train("supervised", {}))


def test_the_teachers_boxes_are_trained_on_after_the_burn_in(photos: Photos, supervised: dict[str, Any]) -> None:
    trainer = photos.train("semi", {**SEMI, "weight": 1.0})
    (counts,) = json.loads((photos.folder / "semi" / "pseudo_labels.json").read_text())
    assert (counts["epoch"], counts["looked_at"]) == (1, 8)
    assert counts["used"] >= 2
    assert counts["boxes"] >= counts["used"]
    assert counts["used"] + counts["ambiguous"] + counts["empty"] == counts["looked_at"]
    assert trainer.epoch_figures()["semi_supervised/used"] == counts["used"]
    changed = weights(trainer)
    assert all(np.isfinite(values).all() for values in changed.values())
    assert not is_same(changed, supervised)


def test_a_weight_of_zero_gives_the_supervised_weights_bit_for_bit(photos: Photos, supervised: dict[str, Any]) -> None:
    trainer = photos.train("weightless", {**SEMI, "weight": 0.0})
    assert trainer.counts[0].used >= 2
    assert is_same(weights(trainer), supervised)


def test_switched_off_or_without_images_the_trainer_is_the_supervised_one(photos: Photos) -> None:
    quiet_ultralytics()
    from workers.stages.semi_supervised import make_trainer
    from workers.stages.yolo_trainer import LastWeightsTrainer, training_arguments

    for semi, unlabeled in (({}, photos.unlabeled), (SEMI, [])):
        params = _params(semi)
        arguments = training_arguments(params, str(STARTER), photos.folder / "off")
        assert arguments == training_arguments(_params({}), str(STARTER), photos.folder / "off")
        arguments["data"] = str(photos.folder / "data.yaml")
        assert type(make_trainer(arguments, params, unlabeled)) is LastWeightsTrainer
