"""Judge one model version on photos whose damages are known, apart from the platform's own data. Keeps nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from damageloop.domain.annotation import ImportedTruth, LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate_rules import Figure, Slice
from damageloop.domain.holdout import slices_of
from damageloop.domain.image import ImageQuality, Origin, QuarantinedFile
from damageloop.domain.measurements import Measurements, limits
from damageloop.domain.prediction import current_detections
from damageloop.domain.release import with_current_names
from damageloop.domain.resampling import group_weights
from damageloop.errors import InvalidImageError, InvalidInputError
from damageloop.params import Params
from damageloop.ports import Detector, ImageReader

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo whose damages are known. `read` returns its bytes; `name` is its own."""

    name: str
    read: Callable[[], bytes]
    boxes: Sequence[LabeledBox]
    vehicle: str


@dataclass
class _Seen:
    """What became of the photos.

    Attributes:
        qualities: By file name.
        unreadable: Listed photos that can't be decoded; they take no part.
        unknown: Boxes of classes that the model does not know; they take no part, but make a photo no clean one.
    """

    records: list[ImageEvaluation]
    qualities: dict[str, ImageQuality]
    unreadable: list[QuarantinedFile]
    unknown: Counter[str]


@dataclass(frozen=True, slots=True)
class EvaluateModel:
    """Runs a detector over photos and compares it with what people drew."""

    detector: Detector
    reader: ImageReader
    params: Params

    def __call__(
        self,
        files: Sequence[Path],
        truths: Mapping[str, ImportedTruth],
        vehicles: Mapping[str, str],
        progress: Progress,
    ) -> dict[str, Any]:
        """Return figures with intervals, of the whole, by class and by slice, as JSON values.

        Intervals are two-sided percentiles of a bootstrap over vehicles, at `gate.confidence_level`. A photo that
        the annotations don't list is left out: nobody said whether it is clean.

        Args:
            files: Photos, of which those are judged that `truths` names.
            truths: Boxes by file name; none means that somebody looked and found no damage.
            vehicles: Vehicle by file name; the others are read from their names by `ingest.vehicle_pattern`.

        Raises:
            InvalidInputError: If a listed photo is missing or there twice, or nothing is left to judge.
        """
        listed = _listed(files, truths)
        pattern = self.params.ingest.vehicle_pattern
        photos = [
            KnownPhoto(
                p.name, partial(_content, p), truths[p.name].boxes, vehicles.get(p.name) or _vehicle_of(p, pattern)
            )
            for p in listed
        ]
        return self.judge(photos, progress) | {"unlisted": len(files) - len(listed)}

    def judge(self, photos: Sequence[KnownPhoto], progress: Progress) -> dict[str, Any]:
        """Return the same figures of photos from anywhere. Raises InvalidInputError if none can be read."""
        seen = self._look(photos, progress)
        if not seen.records:
            raise InvalidInputError("There is nothing to judge: none of the listed photos can be read.")
        return self._figures(seen) | {
            "unknown_classes": dict(sorted(seen.unknown.items())),
            "unlisted": 0,
            "unreadable": [{"file": u.file, "code": u.code, "reason": u.reason} for u in seen.unreadable],
        }

    def _look(self, photos: Sequence[KnownPhoto], progress: Progress) -> _Seen:
        seen = _Seen([], {}, [], Counter())
        for number, known in enumerate(photos):
            progress(number, len(photos))
            name, boxes = known.name, known.boxes
            try:
                photo = self.reader.read(known.read(), self.detector.manifest.image_size)
            except InvalidImageError as exc:
                seen.unreadable.append(QuarantinedFile(name, exc.code, str(exc)))
                continue
            seen.qualities[name] = self.reader.quality(photo.pixels)
            answer = self.detector.detect(photo.pixels, photo.size_wh)
            found = current_detections(answer.detections, self.params.labels.former)
            seen.records.append(evaluate_image(name, known.vehicle, boxes, found, photo.size_wh))
            seen.unknown.update(box.damage_class for box in boxes if box.damage_class not in self._thresholds)
        return seen

    @property
    def _thresholds(self) -> Mapping[str, float]:
        manifest = with_current_names(self.detector.manifest, self.params.labels.former)
        return {name: manifest.thresholds[name] for name in manifest.labels if name in manifest.thresholds}

    def _figures(self, seen: _Seen) -> dict[str, Any]:
        gate, level = self.params.gate, self.params.gate.confidence_level
        weights = group_weights([r.group for r in seen.records], gate.bootstrap_samples, gate.seed)
        photos = {name: (quality, Origin.IMPORT) for name, quality in seen.qualities.items()}
        slices = slices_of(photos, self.params.serving.dark_brightness)
        model = Measurements(seen.records, self._thresholds, weights, slices, gate.small_box_area_share)
        return {
            "model_version": str(self.detector.manifest.model_version),
            "images": len(seen.records),
            "clean": sum(record.is_clean for record in seen.records),
            "groups": len({record.group for record in seen.records}),
            "interval_level": level,
            "bootstrap_samples": gate.bootstrap_samples,
            "metrics": _part(model, Slice.ALL, tuple(Figure), seen, level),
            "per_class": {
                name: {"threshold": threshold, **_of_class(model, name, level)}
                for name, threshold in self._thresholds.items()
            },
            "slices": {
                Slice.SMALL_BOXES.value: _part(model, Slice.SMALL_BOXES, (Figure.RECALL,), seen, level),
                **{kind.value: _part(model, kind, tuple(Figure), seen, level) for kind in (Slice.DARK, Slice.BRIGHT)},
            },
        }


def _part(model: Measurements, part: Slice, figures: Sequence[Figure], seen: _Seen, level: float) -> dict[str, Any]:
    """Return figures on a part of the photos.

    A class without a true box anywhere has no recall and no average precision; what is shown of it counts as false.
    """
    known = model.classes
    present = tuple(name for name in known if any(record.truth_counts.get(name) for record in seen.records))
    return {
        figure.value: limits(model.measure(figure, part, known if figure is Figure.PRECISION else present), level)
        for figure in figures
    }


def _of_class(model: Measurements, name: str, level: float) -> dict[str, Any]:
    names = {"recall": Figure.RECALL, "precision": Figure.PRECISION, "ap50": Figure.MAP50, "ap50_95": Figure.MAP50_95}
    return {key: limits(model.measure(figure, Slice.ALL, (name,)), level) for key, figure in names.items()}


def _listed(files: Sequence[Path], truths: Mapping[str, ImportedTruth]) -> list[Path]:
    listed = [path for path in files if path.name in truths]
    repeated = [name for name, count in Counter(path.name for path in listed).items() if count > 1]
    if repeated:
        raise InvalidInputError(
            f"Two photos are called {repeated[0]}: annotations go by the name, so give each its own."
        )
    missing = sorted(set(truths) - {path.name for path in listed})
    if missing:
        raise InvalidInputError(
            f"The annotations list {len(missing)} photos that the folder does not have, the first is {missing[0]}: "
            "add them, or take them out of the annotations."
        )
    return listed


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInputError(f"{path} could not be read: {exc.strerror}.") from exc


def _vehicle_of(path: Path, pattern: str) -> str:
    found = re.match(pattern, path.stem)
    return found.group("vehicle") if found else path.stem
