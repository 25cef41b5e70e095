"""How well valuation tells one damage in several photos from several damages; `--help` says how to run it.

Generated vehicles with several views, where it is known which damage is which, seen by the starter model. All views are
of one panel; photos around a whole car differ more. No real set with such labels was at hand.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.report import environment, print_table, write_report
from damageloop.adapters.engines.openvino import OpenVinoDetector
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.domain.geometry import Box, iou_matrix
from damageloop.domain.release import ReleaseManifest
from damageloop.domain.severity import Severity
from damageloop.domain.valuation.merge import count, sighting
from damageloop.domain.valuation.rules import SameDamageRule
from damageloop.domain.valuation.seen import Look, Place, likenesses
from damageloop.valuation_params import MergeParams
from samples.generator import STARTER_WORLD, encode, photos
from samples.generator.scene import Photo
from samples.generator.world import WORLDS
from workers.stages.openvino_export import export_openvino

_SIZE = 256
_CONFIDENCE = 0.25
_MIN_IOU = 0.4
_LIMITS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Car:
    """One vehicle's detections that are true damages: how they look, and which damage each place shows."""

    looks: tuple[Look, ...]
    damage: dict[Place, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_damage", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--vehicles", type=int, default=150, help="vehicles (%(default)s)")
    parser.add_argument("--views", type=int, default=4, help="photos of each (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=201, help="the shipped weights were fitted on seed 101 (%(default)s)"
    )
    parser.add_argument("--world", choices=sorted(WORLDS), default=STARTER_WORLD.name)
    options = parser.parse_args(arguments)
    cars = _cars(options)
    pairs, cars_found = _pairs(cars), _counts(cars)
    print_table(pairs, f"Pairs of detections of one class in different photos, {options.world} world")
    print_table(cars_found, "Damages counted for each car and class")
    asked = {"vehicles": options.vehicles, "views": options.views, "seed": options.seed, "world": options.world}
    write_report(options.json, {**environment(), "options": asked, "pairs": pairs, "cars": cars_found})
    return 0


def _cars(options: argparse.Namespace) -> list[Car]:
    with tempfile.TemporaryDirectory() as folder:
        detector = _starter(Path(folder))
    made = photos(
        vehicles=options.vehicles,
        views=options.views,
        seed=options.seed,
        world=WORLDS[options.world],
        damaged_share=1.0,
    )
    found: dict[str, Car] = {}
    for number, named in enumerate(made):
        car = found.setdefault(named.group, Car((), {}))
        found[named.group] = _with_photo(car, number % options.views, named.photo, detector)
        print(f"\r{number + 1} photos", end="", file=sys.stderr, flush=True)
    return list(found.values())


def _starter(folder: Path) -> OpenVinoDetector:
    export_openvino(Path("starter/starter-yolo11n.pt"), _SIZE, folder)
    manifest = ReleaseManifest(1, ("scratch", "dent"), _SIZE, "f32", {}, {}, None, {})
    return OpenVinoDetector(folder, manifest, DetectionRules(_CONFIDENCE, 0.6, 50))


def _with_photo(car: Car, number: int, photo: Photo, detector: OpenVinoDetector) -> Car:
    decoded: Any = cv2.imdecode(np.frombuffer(encode(photo), np.uint8), cv2.IMREAD_COLOR)
    pixels = decoded[:, :, ::-1].copy()
    answer = detector.detect(pixels)
    if answer.box_features is None:
        raise RuntimeError("The starter's export has no box features.")
    looks, damage = list(car.looks), dict(car.damage)
    for place, found in enumerate(answer.detections):
        true = _damage(found.damage_class, found.box, photo)
        if true is not None:
            box, (height, width) = found.box, pixels.shape[:2]
            centre = ((box.x_min + box.x_max) / 2 / width, (box.y_min + box.y_max) / 2 / height)
            features = answer.box_features[place]
            looks.append(Look((number, place), found.damage_class, features, answer.embedding, centre))
            damage[number, place] = true
    return Car(tuple(looks), damage)


def _damage(name: str, box: Box, photo: Photo) -> int | None:
    true = [each for each in photo.boxes if each.label == name]
    if not true:
        return None
    corners = np.array([each.xyxy_px for each in true], dtype=np.float64)
    overlaps = iou_matrix(np.array([box.as_tuple()]), corners)[0]
    best = int(overlaps.argmax())
    return true[best].damage if overlaps[best] >= _MIN_IOU else None


def _rule() -> SameDamageRule:
    return SameDamageRule(**MergeParams().probability.model_dump())


def _pairs(cars: Sequence[Car]) -> list[dict[str, Any]]:
    rule = _rule()
    told = [
        (pair.probability(rule), car.damage[pair.first] == car.damage[pair.second])
        for car in cars
        for pair in likenesses(car.looks)
    ]
    same = [p for p, is_same in told if is_same]
    other = [p for p, is_same in told if not is_same]
    auc = np.mean([(p > q) + 0.5 * (p == q) for p in same for q in other]) if same and other else None
    rows = []
    for limit in _LIMITS:
        hits, alarms = sum(p >= limit for p in same), sum(p >= limit for p in other)
        rows.append(
            {
                "merged from": limit,
                "pairs": len(told),
                "same": len(same),
                "precision": hits / (hits + alarms) if hits + alarms else None,
                "same merged": hits / len(same),
                "others merged": alarms / len(other),
                "auc": None if auc is None else float(auc),
            }
        )
    return rows


def _counts(cars: Sequence[Car]) -> list[dict[str, Any]]:
    """Return how many damages are counted where there are so many, with each limit and without merging."""
    rule = _rule()
    rows = []
    for limit in (*_LIMITS, None):
        errors = []
        for car in cars:
            same = {(pair.first, pair.second): pair.probability(rule) for pair in likenesses(car.looks)}
            for name in {look.damage_class for look in car.looks}:
                places = [look.place for look in car.looks if look.damage_class == name]
                seen = [sighting(Severity.MINOR, str(place), place) for place in places]
                counted = count(seen, same, limit)[0] if limit is not None else len(seen)
                errors.append(counted - len({car.damage[place] for place in places}))
        off = np.array(errors)
        rows.append(
            {
                "merged from": "never" if limit is None else limit,
                "cars and classes": len(off),
                "exact": float((off == 0).mean()),
                "too few": float((off < 0).mean()),
                "too many": float((off > 0).mean()),
                "mean error": float(off.mean()),
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
