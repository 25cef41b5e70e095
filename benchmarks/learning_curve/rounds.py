"""The protocol: all arms of a seed share round 0; then each chooses, the oracle labels, a new model is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from active_learning.protocol import Candidates
from active_learning.registry import strategy
from benchmarks.learning_curve.answers import answers_of, calibration_of, candidates_of, labeled_of, records_of
from benchmarks.learning_curve.cells import ANY_DAMAGE, SHARED, Cell, CellFolder
from benchmarks.learning_curve.network import fresh_model, learning_part
from benchmarks.learning_curve.oracle import review_seconds
from benchmarks.learning_curve.semi_supervised import SEMI_SUPERVISED, train_with_unlabeled
from benchmarks.learning_curve.training import Bench, train
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image, figures, mean_ap
from damageloop.domain.prediction import DetectorAnswer

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a round asks the oracle: photos in the pool, with the seconds of review each costs."""

    photos: list[int]
    seconds: float
    calibration: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Fills in the cells of a run; what is there already is not done again."""

    bench: Bench
    folder: CellFolder
    tell: Tell

    def run(self, seed: int, arms: Sequence[str]) -> None:
        """Run all rounds of these arms under one seed."""
        self._round_zero(seed)
        for arm in arms:
            for number in range(1, self.bench.settings.rounds + 1):
                if self.folder.cell(seed, arm, number) is None:
                    self._later_round(seed, arm, number)

    def _round_zero(self, seed: int) -> None:
        if self.folder.cell(seed, SHARED, 0) is not None:
            return
        settings = self.bench.settings
        pool = self.bench.photos.pool
        photos = np.random.default_rng(seed).permutation(len(pool))[: settings.initial].tolist()
        # No model yet: every box is drawn.
        seconds = sum(review_seconds(pool[i], (), settings.display_threshold) for i in photos)
        self._finish(seed, SHARED, 0, Chosen(photos, seconds), photos, 0.0)

    def _later_round(self, seed: int, arm: str, number: int) -> None:
        started = time.perf_counter()
        labeled, model, calibration = self._before(seed, arm, number)
        chosen = self._choose(arm, labeled, model, calibration, np.random.default_rng([seed, number]))
        self._finish(seed, arm, number, chosen, labeled + chosen.photos, time.perf_counter() - started)

    def _before(self, seed: int, arm: str, number: int) -> tuple[list[int], Any, tuple[float, ...] | None]:
        """Return what is labeled before a round, the model of that moment, and the calibration it has."""
        places = {photo.name: i for i, photo in enumerate(self.bench.photos.pool)}
        names = [SHARED, *([arm] * (number - 1))]
        cells = [self.folder.cell(seed, name, i) for i, name in enumerate(names)]
        labeled = [places[name] for cell in cells if cell for name in cell.picked]
        weights = self.folder.weights(seed, names[-1], number - 1)
        model = fresh_model(self.bench.base, self.bench.photos.classes, seed).to(self.bench.device)
        state = torch.load(weights, weights_only=True, map_location=self.bench.device)
        learning_part(model, self.bench.split).load_state_dict(state)
        return labeled, model.eval(), cells[-1].calibration if cells[-1] else None

    def _choose(
        self,
        arm: str,
        labeled: list[int],
        model: Any,
        calibration: tuple[float, ...] | None,
        rng: np.random.Generator,
    ) -> Chosen:
        bench, floor = self.bench, self.bench.settings.confidence_floor
        known = set(labeled)
        unlabeled = [i for i in range(len(bench.photos.pool)) if i not in known]
        answers = answers_of(bench, model, unlabeled, floor)
        known_answers = answers_of(bench, model, labeled, floor)
        told = labeled_of(bench, known_answers, labeled, None if calibration is None else np.array(calibration))
        name = "random" if arm == SEMI_SUPERVISED else arm
        picked = self._select(name, candidates_of(bench, answers, unlabeled, told), rng)
        threshold = bench.settings.display_threshold
        seconds = sum(review_seconds(bench.photos.pool[unlabeled[p]], answers[p].detections, threshold) for p in picked)
        photos = [unlabeled[p] for p in picked]
        fresh = calibration_of(records_of(bench, [answers[p] for p in picked], photos))
        return Chosen(photos, seconds, None if fresh is None else tuple(float(v) for v in fresh))

    def _select(self, name: str, candidates: Candidates, rng: np.random.Generator) -> list[int]:
        selection = strategy(name)(candidates, self.bench.settings.query_size, rng)
        picked: list[int] = selection.indices.tolist()
        return picked

    def _finish(
        self, seed: int, arm: str, number: int, chosen: Chosen, labeled: Sequence[int], select_seconds: float
    ) -> None:
        bench, started = self.bench, time.perf_counter()
        # The same for all arms: which weights a head starts with, and the order of chance.
        training_seed = 1000 * seed + number
        extra: dict[str, Any] = {}
        if arm == SEMI_SUPERVISED:
            model, extra = train_with_unlabeled(bench, labeled, training_seed)
        else:
            model = train(bench, labeled, training_seed)
        train_seconds = time.perf_counter() - started
        first = len(bench.photos.pool)
        judged = list(range(first, first + len(bench.photos.evaluation)))
        answers = answers_of(bench, model, judged, bench.settings.evaluation_floor)
        records = records_of(bench, answers, judged)
        merged = [_as_one_class(bench, answer, photo) for answer, photo in zip(answers, judged, strict=True)]
        self._keep_weights(seed, arm, number, model)
        cell = Cell(
            seed,
            arm,
            number,
            tuple(bench.photos.pool[i].name for i in chosen.photos),
            sum(len(bench.photos.pool[i].boxes) for i in chosen.photos),
            chosen.seconds,
            _figures(bench, records, merged),
            select_seconds,
            train_seconds,
            chosen.calibration,
            extra,
        )
        self.folder.keep(cell, records, merged)
        self.tell(
            f"seed {seed}, {arm}, round {number}: {len(labeled)} images, mAP50 {cell.figures['map50']:.4f} "
            f"({train_seconds:.0f} s of training)"
        )

    def _keep_weights(self, seed: int, arm: str, number: int, model: Any) -> None:
        target = self.folder.weights(seed, arm, number)
        part = target.with_suffix(".part")
        torch.save(learning_part(model, self.bench.split).state_dict(), part)
        part.replace(target)


def _figures(bench: Bench, records: Sequence[ImageEvaluation], merged: Sequence[ImageEvaluation]) -> dict[str, Any]:
    """Return mAP50, mAP50-95 and figures by class, and the AP50 of all classes taken as one."""
    classes = bench.photos.classes
    return {
        **figures(records, classes, dict.fromkeys(classes, bench.settings.display_threshold)),
        "any_damage_ap50": mean_ap(merged, (ANY_DAMAGE,)),
    }


def _as_one_class(bench: Bench, answer: DetectorAnswer, photo: int) -> ImageEvaluation:
    known = bench.photos.all[photo]
    truths = [LabeledBox(ANY_DAMAGE, drawn.box) for drawn in known.boxes]
    found = [replace(box, damage_class=ANY_DAMAGE) for box in answer.detections]
    return evaluate_image(known.name, known.group, truths, found)
