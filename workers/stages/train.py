"""Second stage: train from `model.base`, always, with all labels of the snapshot. A killed training goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import pickle
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from damageloop.adapters.provenance import code_revision, file_sha256, lock_hash
from damageloop.adapters.weights import Base, find_base
from damageloop.domain.provenance import differences
from damageloop.params import Params
from workers.stages.quiet import quiet_ultralytics
from workers.stages.stage import (
    BUILD,
    DATASET,
    DATASET_INDEX,
    PROVENANCE,
    WEIGHTS,
    run_stage,
    stage_params,
    tell,
    unlabeled_images,
    weights_folders,
    write_json,
)

logger = logging.getLogger(__name__)

TRAIN = BUILD / "train"
_KEY = TRAIN / "key.json"
_TELL_EVERY = 4


def train() -> None:
    """Train for all epochs and write `build/weights.pt`; with `model.base: none` from random weights.

    Raises:
        NotFoundError: If the base weights are nowhere to be found.
    """
    params = stage_params()
    base = find_base(params.model.base, weights_folders())
    _tell_differences(base)
    tell("train", 0.0, f"loading {params.model.base}")
    quiet_ultralytics()
    from workers.stages.yolo_trainer import checkpoint_of, slim_weights

    _begin_or_keep(_training_key(params, base))
    _write_data_file(params.labels.classes)
    n_done = epochs_done(checkpoint_of(TRAIN))
    if n_done < params.training.epochs:
        _run_epochs(params, base, is_resumed=n_done > 0)
    slim_weights(checkpoint_of(TRAIN), WEIGHTS)


def _tell_differences(base: Base) -> None:
    """Write into the stage's log what is not as it was when the snapshot was made."""
    running = {"code_revision": code_revision(), "lock_hash": lock_hash(), "base_sha256": base.sha256}
    for text in differences(json.loads(PROVENANCE.read_text()), running):
        sys.stderr.write(f"Warning: {text}; figures may differ by that.\n")


def epochs_done(checkpoint: Path) -> int:
    """Return how many epochs a checkpoint has behind it, 0 when there is none that can be read."""
    from ultralytics.nn.tasks import load_checkpoint

    if not checkpoint.is_file():
        return 0
    try:
        return int(load_checkpoint(checkpoint)[1]["epoch"]) + 1
    except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
        checkpoint.unlink()
        return 0


def _training_key(params: Params, base: Base) -> str:
    """Return what must be the same for a checkpoint to be taken up."""
    parts = [params.hash(), base.sha256, file_sha256(DATASET_INDEX)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _begin_or_keep(key: str) -> None:
    """Empty the training folder unless it belongs to the same data, parameters and base."""
    if _KEY.is_file() and json.loads(_KEY.read_text())["key"] == key:
        return
    shutil.rmtree(TRAIN, ignore_errors=True)
    TRAIN.mkdir(parents=True)
    write_json(_KEY, {"key": key})


def _write_data_file(classes: tuple[str, ...]) -> None:
    content = {
        "path": str(DATASET.resolve()),
        "train": "train.txt",
        "val": "val.txt",
        "names": dict(enumerate(classes)),
    }
    (DATASET / "data.yaml").write_text(yaml.safe_dump(content))


def _run_epochs(params: Params, base: Base, *, is_resumed: bool) -> None:
    from workers.stages.semi_supervised import make_trainer
    from workers.stages.yolo_trainer import checkpoint_of, training_arguments

    arguments = training_arguments(params, base.model, TRAIN)
    if is_resumed:
        arguments["model"] = arguments["resume"] = str(checkpoint_of(TRAIN).resolve())
    trainer = make_trainer(arguments, params, unlabeled_images())
    log = _metric_log()
    trainer.add_callback("on_train_batch_end", _BatchTeller(params.training.epochs))
    trainer.add_callback("on_train_epoch_end", lambda t: log(_losses(t) | t.epoch_figures(), t.epoch + 1))
    trainer.train()


class _BatchTeller:
    """Tells the progress every few batches."""

    def __init__(self, n_epochs: int) -> None:
        self._n_epochs = n_epochs
        self._n_batches = 0
        self._began: tuple[float, float] | None = None

    def __call__(self, trainer: Any) -> None:
        per_epoch = len(trainer.train_loader)
        in_epoch = self._n_batches % per_epoch + 1
        self._n_batches += 1
        if in_epoch % _TELL_EVERY and in_epoch != per_epoch:
            return
        loss = sum(_losses(trainer).values())
        share = (trainer.epoch + in_epoch / per_epoch) / self._n_epochs
        detail = {"epoch": trainer.epoch + 1, "epochs": self._n_epochs, "seconds_left": self._seconds_left(share)}
        # A loss that is no number ends the training soon, and JSON can't say it.
        if math.isfinite(loss):
            detail["loss"] = round(loss, 4)
        tell("train", share, f"epoch {trainer.epoch + 1} of {self._n_epochs}, loss {loss:.2f}", detail)

    def _seconds_left(self, share: float) -> int | None:
        """Return how long the epochs still take by the pace since the first telling; a resumed one began later."""
        now = time.monotonic()
        if self._began is None:
            self._began = (now, share)
        began_at, began_share = self._began
        return None if share <= began_share else round((now - began_at) * (1.0 - share) / (share - began_share))


def _losses(trainer: Any) -> dict[str, float]:
    """Return the epoch's mean losses so far, as ultralytics names them."""
    return {f"train/{name}": float(value) for name, value in (trainer.tloss or {}).items()}


def _metric_log() -> Any:
    """Return what logs an epoch's figures to MLflow, or nothing where no run is named."""
    uri, run_id = os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("DAMAGELOOP_MLFLOW_RUN_ID")
    if not uri or not run_id:
        return lambda metrics, step: None
    from damageloop.adapters.mlflow import EpochLog

    return EpochLog(uri, run_id)


if __name__ == "__main__":
    run_stage(train)
