"""ultralytics' trainer, less what we do elsewhere. Import it after `quiet_ultralytics()` only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer

from damageloop.params import Params
from damageloop.training_params import PhotometricParams
from workers.stages.photometric import Photometric
from workers.stages.stage import DATASET, all_threads


class LastWeightsTrainer(DetectionTrainer):
    """Trains for all its epochs and keeps the last EMA weights: no validation, no best epoch, no early stop.

    What is best on `val` would be chosen on `val`, and costs a pass over it in each epoch.

    Attributes:
        checkpoint: The newest whole checkpoint. ultralytics writes `last.pt` in place, so a kill can halve it.
    """

    def __init__(self, overrides: dict[str, Any], photometric: PhotometricParams | None = None) -> None:
        super().__init__(overrides=overrides)
        self._light = Photometric(photometric or PhotometricParams(), int(self.args.seed))
        self.add_callback("on_train_epoch_start", lambda _: self._light.begin_epoch(self.epoch))
        self.checkpoint = checkpoint_of(Path(self.save_dir))
        # ultralytics leaves one core free, which on two cores is half of the machine.
        torch.set_num_threads(all_threads())

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch as floats, some of its images as if taken in other light."""
        prepared: dict[str, Any] = super().preprocess_batch(batch)
        prepared["img"] = self._light(prepared["img"])
        return prepared

    def epoch_figures(self) -> dict[str, float]:
        """Return what is to be logged of an epoch besides its losses: nothing."""
        return {}

    def validate(self) -> tuple[dict[str, float], None]:
        """Return the untouched metrics, and no fitness: so no epoch is ever the best."""
        return self.metrics, None

    def final_eval(self) -> None:
        """Leave the last checkpoint as it is."""

    def save_model(self) -> bool:
        """Save the checkpoint and make a whole copy of it."""
        is_saved: bool = super().save_model()
        # Written as "best" too, since no fitness equals no best fitness.
        self.best.unlink(missing_ok=True)
        part = self.checkpoint.with_suffix(".part")
        shutil.copyfile(self.last, part)
        part.replace(self.checkpoint)
        return is_saved


def checkpoint_of(folder: Path) -> Path:
    """Return where a training in `folder` keeps its newest whole checkpoint."""
    return folder / "checkpoint.pt"


def training_arguments(params: Params, base: Path | str, folder: Path) -> dict[str, Any]:
    """Return ultralytics' arguments for a new training in `folder` of `base`: weights, or the name of a plan."""
    training = params.training
    return {
        "mode": "train",
        "task": "detect",
        "model": str(base),
        "data": str((DATASET / "data.yaml").resolve()),
        "save_dir": str(folder.resolve()),
        "exist_ok": True,
        "imgsz": params.model.image_size,
        "epochs": training.epochs,
        "batch": training.batch_size,
        # Every batch is a step: at a few hundred images the default of 64 leaves a handful of steps in an epoch.
        "nbs": training.batch_size,
        "optimizer": training.optimizer,
        "lr0": training.learning_rate,
        # The default of 0.1 is meant for SGD; with Adam it throws the base's biases away.
        "warmup_bias_lr": training.learning_rate,
        "freeze": training.freeze_layers,
        "mosaic": training.mosaic,
        "close_mosaic": max(1, training.epochs // 5),
        "seed": training.seed,
        "deterministic": True,
        # Half precision on a GPU is checked with downloaded weights; bf16 is not.
        "amp": "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else False,
        "workers": 0,
        "val": False,
        "plots": False,
        "verbose": False,
    }


def slim_weights(checkpoint: Path, target: Path) -> None:
    """Write the EMA weights of a checkpoint alone, in half precision, without a path of this machine or a date."""
    from ultralytics.nn.tasks import load_checkpoint

    model, content = load_checkpoint(checkpoint)
    kept = ("imgsz", "epochs", "batch", "optimizer", "lr0", "freeze", "mosaic", "seed", "task")
    arguments = {name: value for name, value in content["train_args"].items() if name in kept}
    model.args, model.pt_path, model.criterion = arguments, "", None
    for parameter in model.parameters():
        parameter.requires_grad = False
    slim = {"epoch": -1, "model": model.half(), "train_args": arguments, "version": content["version"]}
    part = target.with_suffix(".part")
    torch.save({**slim, "license": "AGPL-3.0"}, part)
    part.replace(target)
