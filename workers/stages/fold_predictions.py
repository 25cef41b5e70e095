"""Out-of-fold predictions of a snapshot, outside the pipeline: train on all folds but one, predict that one, repeat.

Each fold is trained with labels alone, on the parameters of the snapshot. A finished fold is not done again, and
a killed training goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from damageloop.adapters.database.conversions import detections_to_json
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.adapters.fold_runner import FOLDS, REQUEST
from damageloop.adapters.provenance import file_sha256
from damageloop.adapters.weights import Base, find_base
from damageloop.domain import snapshot
from damageloop.domain.folds import deal_folds
from damageloop.domain.release import ReleaseManifest
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import Detector
from workers.stages.prepare import prepare
from workers.stages.quiet import quiet_ultralytics
from workers.stages.stage import (
    DATASET,
    DATASET_INDEX,
    PROGRESS,
    image_path,
    load_image,
    of_split,
    run_stage,
    snapshot_entries,
    stage_params,
    weights_folders,
    write_json,
)
from workers.stages.train import epochs_done

_TELL_EVERY = 4


def fold_predictions() -> None:
    """Write `build/folds/<fold>.json` for each fold of the request.

    Raises:
        ConflictError: If there are fewer train groups than folds.
        NotFoundError: If the base weights are nowhere to be found.
    """
    request = json.loads(REQUEST.read_text())
    params, entries = stage_params(), snapshot_entries()
    base = find_base(params.model.base, weights_folders())
    _prepare_once(entries)
    quiet_ultralytics()
    train, held_out = of_split(entries, Split.TRAIN), set(request["held_out"])
    fold_of = deal_folds([entry.group for entry in train], request["n_folds"], request["seed"])
    for fold in range(request["n_folds"]):
        predicted = [entry for entry in train if fold_of[entry.group] == fold]
        if fold == 0:
            # No fold has seen these: one model is as good as another.
            predicted += [entry for entry in entries if entry.sha256 in held_out]
        trained_on = [entry for entry in train if fold_of[entry.group] != fold]
        _Fold(fold, request["n_folds"], params, base).run(trained_on, predicted)


class _Fold:
    """One training and what it predicts; its folder goes when its predictions are written."""

    def __init__(self, number: int, n_folds: int, params: Params, base: Base) -> None:
        self._number, self._n_folds = number, n_folds
        self._params, self._base = params, base
        self._folder = FOLDS / str(number)
        self._result = FOLDS / f"{number}.json"

    def run(self, trained_on: Sequence[SnapshotEntry], predicted: Sequence[SnapshotEntry]) -> None:
        key = self._key(trained_on, predicted)
        if self._result.is_file() and json.loads(self._result.read_text())["key"] == key:
            return
        self._begin_or_keep(key)
        detections = self._predict(self._train(trained_on), predicted)
        write_json(self._result, {"key": key, "detections": detections})
        shutil.rmtree(self._folder)

    def _key(self, trained_on: Sequence[SnapshotEntry], predicted: Sequence[SnapshotEntry]) -> str:
        """Return what must be the same for earlier work to count."""
        hashes = [[entry.sha256 for entry in part] for part in (trained_on, predicted)]
        parts = [self._params.hash(), self._base.sha256, file_sha256(DATASET_INDEX), json.dumps(hashes)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def _begin_or_keep(self, key: str) -> None:
        file = self._folder / "key.json"
        if file.is_file() and json.loads(file.read_text())["key"] == key:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        write_json(file, {"key": key})

    def _train(self, entries: Sequence[SnapshotEntry]) -> Path:
        """Train to the end and return the weights."""
        from workers.stages.yolo_trainer import LastWeightsTrainer, checkpoint_of, slim_weights, training_arguments

        checkpoint = checkpoint_of(self._folder)
        n_done = epochs_done(checkpoint)
        if n_done < self._params.training.epochs:
            arguments = training_arguments(self._params, self._base.model, self._folder)
            arguments["data"] = str(self._write_data_file(entries))
            if n_done:
                arguments["model"] = arguments["resume"] = str(checkpoint.resolve())
            trainer = LastWeightsTrainer(arguments, self._params.training.photometric)
            trainer.add_callback("on_train_batch_end", self._tell_batch)
            trainer.train()
        slim_weights(checkpoint, self._folder / "weights.pt")
        return self._folder / "weights.pt"

    def _write_data_file(self, entries: Sequence[SnapshotEntry]) -> Path:
        images = (self._folder / "train.txt").resolve()
        images.write_text("".join(f"{image_path(entry).resolve()}\n" for entry in entries))
        names = dict(enumerate(self._params.labels.classes))
        # `val` must be named, and is never looked at: the trainer does not validate.
        content = {"path": str(DATASET.resolve()), "train": str(images), "val": "val.txt", "names": names}
        file = self._folder / "data.yaml"
        file.write_text(yaml.safe_dump(content))
        return file.resolve()

    def _predict(self, weights: Path, entries: Sequence[SnapshotEntry]) -> dict[str, Any]:
        detector = _detector(weights, self._params)
        found = {}
        for number, entry in enumerate(entries):
            if number % _TELL_EVERY == 0:
                self._tell(0.9 + 0.1 * number / len(entries), f"predicting image {number + 1} of {len(entries)}")
            answer = detector.detect(load_image(entry, self._params))
            found[entry.sha256] = detections_to_json(answer.detections)
        return found

    def _tell_batch(self, trainer: Any) -> None:
        share = (trainer.epoch + 1) / self._params.training.epochs
        self._tell(0.9 * share, f"epoch {trainer.epoch + 1} of {self._params.training.epochs}")

    def _tell(self, share: float, message: str) -> None:
        whole = (self._number + share) / self._n_folds
        text = f"fold {self._number + 1} of {self._n_folds}, {message}"
        write_json(PROGRESS, {"share": round(whole, 4), "message": text})


def _prepare_once(entries: Sequence[SnapshotEntry]) -> None:
    is_laid_out = DATASET_INDEX.is_file() and DATASET.is_dir()
    if is_laid_out and json.loads(DATASET_INDEX.read_text())["content_hash"] == snapshot.content_hash(entries):
        return
    prepare()


def _detector(weights: Path, params: Params) -> Detector:
    import torch

    from workers.stages.network import TorchDetector, load_network

    network = load_network(weights)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    manifest = ReleaseManifest(0, network.labels, params.model.image_size, "f32", {}, {}, None, {})
    score = params.score
    return TorchDetector(network, manifest, DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections))


if __name__ == "__main__":
    run_stage(fold_predictions)
