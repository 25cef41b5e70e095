"""Training that learns from unlabeled images too. Import it after `quiet_ultralytics()` only.

Each step adds the gradient of `weight` times the loss of a batch of unlabeled images, targets by the teacher, to that
of the labeled batch: two forward passes, so that ultralytics' loss, which divides by the targets of the whole batch,
needs no change. Whatever the unlabeled part does leaves the labeled one alone: it draws from random streams of its own
and moves no statistics of the normalization layers. So a weight of 0 gives bit for bit the supervised training.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.data import build_dataloader
from ultralytics.data.dataset import YOLODataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import ModelEMA, autocast, unwrap_model

from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.params import Params
from damageloop.training_params import PhotometricParams, SemiSupervisedParams
from workers.stages.pseudo_labels import (
    EpochCounts,
    Judgement,
    burn_in_epochs,
    drawn_for_epoch,
    is_due,
    judge,
    rules_of,
    teacher_decay,
)
from workers.stages.stage import write_json
from workers.stages.teacher import TeacherBoxes, look
from workers.stages.yolo_trainer import LastWeightsTrainer

COUNTS = "pseudo_labels.json"


def make_trainer(arguments: dict[str, Any], params: Params, unlabeled: Sequence[Path] = ()) -> LastWeightsTrainer:
    """Return what trains with these arguments: on labels alone unless `training.semi_supervised` says otherwise.

    Args:
        arguments: ultralytics' own, as `training_arguments` gives them.
        params: Says how, and which boxes of the teacher are kept.
        unlabeled: Image files; without one the training is supervised.
    """
    semi = params.training.semi_supervised
    if not semi.enabled or not unlabeled:
        return LastWeightsTrainer(arguments, params.training.photometric)
    boxes = DetectionRules(semi.ambiguous_from, params.score.nms_iou, params.score.max_detections)
    return SemiSupervisedTrainer(arguments, unlabeled, semi, boxes, params.training.photometric)


class SemiSupervisedTrainer(LastWeightsTrainer):
    """Trains on labeled images, and after a burn-in on unlabeled ones too, as its teacher sees them.

    The teacher is a moving average of the student, faster than the one whose weights are kept: over a few hundred steps
    ultralytics' own has hardly left the student. It looks at the plain images anew at the start of each epoch.

    Attributes:
        counts: What came of the unlabeled images, by epoch.
    """

    def __init__(
        self,
        overrides: dict[str, Any],
        unlabeled: Sequence[Path],
        semi: SemiSupervisedParams,
        boxes: DetectionRules,
        photometric: PhotometricParams | None = None,
    ) -> None:
        super().__init__(overrides, photometric)
        self.counts: list[EpochCounts] = []
        self._unlabeled = sorted(str(path) for path in unlabeled)
        self._semi = semi
        self._boxes = boxes
        names = self.data["names"]
        self._rules = rules_of(semi, [names[index] for index in sorted(names)])
        self._random = OwnRandomness()
        self._teacher: Any = None
        self._batches: Iterator[dict[str, Any]] = iter(())
        self._n_batches = self._step = 0
        self.add_callback("on_train_start", lambda _: self._make_teacher())
        self.add_callback("on_train_epoch_start", lambda _: self._begin_epoch())

    def epoch_figures(self) -> dict[str, float]:
        """Return what came of the unlabeled images in the epoch that just ended."""
        is_of_this = bool(self.counts) and self.counts[-1].epoch == self.epoch
        return self.counts[-1].figures() if is_of_this else {}

    def optimizer_step(self) -> None:
        """Add the gradient of a batch of unlabeled images where one is due, step, and let the teacher follow."""
        if is_due(self._step, len(self.train_loader), self._n_batches):
            with self._random.drawn():
                batch = next(self._batches)
            self._learn_from(batch)
        self._step += 1
        super().optimizer_step()
        self._teacher.update(self.model)

    def _learn_from(self, batch: dict[str, Any]) -> None:
        precision = torch.bfloat16 if self.args.amp == "bf16" else self.amp
        with _statistics_kept(self.model), autocast(precision, device=self.device.type):
            # As they are: what is drawn for the light of labeled images stays theirs.
            loss, _ = self.model(DetectionTrainer.preprocess_batch(self, batch))
        self.scaler.scale(loss.sum() * self._semi.weight).backward()

    def _make_teacher(self) -> None:
        # Of a resumed training nothing but the averaged weights is left; the teacher starts from them too.
        teacher = ModelEMA(self.ema.ema, updates=self.ema.updates)
        teacher.decay = lambda n_updates: teacher_decay(n_updates, self._semi.ema_decay)
        head = teacher.ema.model[-1]
        if getattr(head, "one2one_cv2", None) is not None:
            head.end2end = False
        self._teacher = teacher

    def _begin_epoch(self) -> None:
        self._step = self._n_batches = 0
        if self.epoch < burn_in_epochs(self.epochs, self._semi.burn_in_share):
            return
        n_wanted = len(self.train_loader) * self.batch_size
        drawn = drawn_for_epoch(len(self._unlabeled), n_wanted, self._semi.seed, self.epoch)
        seen = look(self._teacher.ema, [self._unlabeled[i] for i in drawn], self.args.imgsz, self._boxes)
        judged = [(found, judge(found.confidences, found.classes, self._rules)) for found in seen]
        used = [found for found, judgement in judged if judgement is Judgement.USED]
        self._note([judgement for _, judgement in judged], sum(len(found.classes) for found in used))
        self._random.restart(self._semi.seed * 100_003 + self.epoch)
        if used:
            self._load(used)

    def _load(self, used: Sequence[TeacherBoxes]) -> None:
        """Make the epoch's batches of unlabeled images, augmented as the labeled ones are."""
        hyp = copy(self.args)
        if self.args.close_mosaic and self.epoch >= self.epochs - self.args.close_mosaic:
            hyp.mosaic = 0.0
        with self._random.drawn():
            dataset = PseudoLabeledDataset(
                used, data=self.data, imgsz=hyp.imgsz, batch_size=self.batch_size, stride=self.stride, hyp=hyp
            )
            loader = build_dataloader(dataset, self.batch_size, self.args.workers, shuffle=True, device=self.device)
            self._n_batches, self._batches = len(loader), iter(loader)

    def _note(self, judgements: Sequence[Judgement], n_boxes: int) -> None:
        n_of = {kind.value: judgements.count(kind) for kind in Judgement}
        self.counts.append(EpochCounts(epoch=self.epoch, looked_at=len(judgements), boxes=n_boxes, **n_of))
        write_json(self.save_dir / COUNTS, [asdict(counts) for counts in self.counts])


class PseudoLabeledDataset(YOLODataset):
    """ultralytics' training data set with targets from memory instead of label files."""

    def __init__(self, images: Sequence[TeacherBoxes], **arguments: Any) -> None:
        self._images = images
        super().__init__("", augment=True, **arguments)

    def get_img_files(self, img_path: str) -> list[str]:
        """Return the files of the images."""
        return [found.file for found in self._images]

    def get_labels(self) -> list[dict[str, Any]]:
        """Return the targets as ultralytics reads them from label files."""
        return [
            {
                "im_file": found.file,
                "shape": found.size_wh[::-1],
                "cls": found.classes.astype(np.float32)[:, None],
                "bboxes": found.boxes_xywhn,
                "segments": [],
                "keypoints": None,
                "normalized": True,
                "bbox_format": "xywh",
            }
            for found in self._images
        ]


class OwnRandomness:
    """Random streams of Python, NumPy and torch that are ours: who draws from them leaves the common ones alone."""

    def __init__(self) -> None:
        self._own = _random_states()

    def restart(self, seed: int) -> None:
        """Begin the streams anew."""
        with self.drawn():
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - the stream that ultralytics' augmentation draws from
            torch.manual_seed(seed)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Let what happens within draw from these streams."""
        common = _random_states()
        _set_random_states(self._own)
        try:
            yield
        finally:
            self._own = _random_states()
            _set_random_states(common)


def _random_states() -> tuple[Any, Any, torch.Tensor]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - as above


def _set_random_states(states: tuple[Any, Any, torch.Tensor]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002 - as above
    torch.set_rng_state(states[2])


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Normalize by the batch at hand, as in all training, but keep the running statistics as they are."""
    layers = [layer for layer in unwrap_model(model).modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
