"""Seconds of review with and without pre-labels: `python -m benchmarks.review_time --json FILE`.

Real boxes stand in for a person, a real model gives the pre-labels, published action times turn what would be done
into seconds. These are modelled seconds, not people with a stopwatch. With `--home` the times that a platform
logged stand beside them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.review_time import ReviewCoefficients
from benchmarks.replayed_reviews import (
    ACCEPT_IOU,
    ReplayedReview,
    SeenPhoto,
    TruePhoto,
    generated_photos,
    load_detector,
    real_photos,
    replay,
    see,
)
from benchmarks.report import environment, print_table, write_report, write_whole
from benchmarks.review_time_page import page, readable
from damageloop.adapters.provenance import file_sha256
from damageloop.domain.correction import MATCH_IOU, Gesture
from damageloop.errors import InvalidInputError
from damageloop.params import Params, load_params
from damageloop.ports import Detector
from damageloop.services.reviews.review_times import prior_of

FloatArray = NDArray[np.float64]

NOTE = (
    "These are modelled seconds, not measured people: true boxes stand in for the person, and published action times "
    "for the work. Photos are drawn at random, as the explored share is, not chosen by a strategy."
)
# Seconds to draw a box: extreme clicking, the product's prior, a crowd with quality checks (design note and paper).
DRAW_S = {"fast (7 s a box)": 7.0, "prior (10 s a box)": 10.0, "careful (42 s a box)": 42.0}
THRESHOLDS = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8)
RESAMPLES = 2000
LEVEL = 0.90
_ROOT = Path(__file__).resolve().parents[1]
_GESTURES = (Gesture.ACCEPTED, Gesture.EDITED, Gesture.REJECTED, Gesture.DRAWN)


def main() -> None:
    """Replay, print the tables and write the JSON file."""
    options = _options()
    params = load_params(options.params)
    detector = load_detector(options.weights, params, options.threads)
    labels = detector.manifest.labels
    sources: dict[str, Iterable[TruePhoto]] = {}
    if options.photos:
        sources[f"generated, seed {options.seed}"] = generated_photos(options.photos, options.seed)
    if options.annotations:
        pairs = zip(options.annotations, options.images, strict=True)
        parts = [real_photos(annotations, images, labels) for annotations, images in pairs]
        sources[f"real, {' and '.join(p.stem for p in options.annotations)}"] = chain.from_iterable(parts)
    seen = {name: _seen(name, detector, found, params) for name, found in sources.items()}
    content = report(seen, params, labels, options.seed)
    content["model"] = {
        "weights": options.weights.name,
        "sha256": file_sha256(options.weights),
        "image_size": params.model.image_size,
        "labels": list(labels),
    }
    content["logged"] = _logged(options.home) if options.home else None
    print_table(readable(content["results"]), "Seconds of review (two-sided 90 %)")
    print_table(content["by_threshold"], "Minutes saved a round by display threshold, prior seconds")
    print_table(content["by_class"], "By class, prior seconds")
    print(f"\n{NOTE}", file=sys.stderr)
    content |= environment()
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))


def report(seen: Mapping[str, Sequence[SeenPhoto]], params: Params, labels: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the figures of all sources as JSON values."""
    threshold = params.annotation.display_threshold
    reviews = {name: [replay(photo, threshold) for photo in found] for name, found in seen.items()}
    prior = prior_of(params)
    n_round = round(params.round.query_size * (1.0 - params.round.audited_share))
    rows = [
        _row(name, kind, found, replace(prior, draw_s=draw_s), n_round, seed)
        for name, found in reviews.items()
        for kind, draw_s in DRAW_S.items()
    ]
    return {
        "note": NOTE,
        "rules": {
            "accept_iou": ACCEPT_IOU,
            "match_iou": MATCH_IOU,
            "display_threshold": threshold,
            "pre_labelled_images_a_round": n_round,
            "interval": f"two-sided {LEVEL:.0%}, {RESAMPLES} bootstrap samples of groups",
        },
        "action_seconds": asdict(prior),
        "draw_seconds": DRAW_S,
        "counts": [_counts_row(name, found) for name, found in reviews.items()],
        "results": rows,
        "by_threshold": [_threshold_row(name, found, prior, n_round, seed) for name, found in seen.items()],
        "by_class": [
            _class_row(name, found, label, prior, n_round) for name, found in reviews.items() for label in labels
        ],
    }


def _row(
    name: str, kind: str, reviews: Sequence[ReplayedReview], action_s: ReviewCoefficients, n_round: int, seed: int
) -> dict[str, Any]:
    with_s = _actions(reviews) @ action_s.as_array()
    without_s = action_s.photo_s + action_s.draw_s * np.array([float(len(r.boxes)) for r in reviews])
    weights = _resampled([review.group for review in reviews], seed)
    means = [(weights @ part) / weights.sum(axis=1) for part in (with_s, without_s)]
    saved, ratio = means[1] - means[0], means[1] / means[0]
    minutes = n_round / 60.0
    return {
        "photos": name,
        "drawing": kind,
        "n_images": len(reviews),
        "seconds_with": round(float(with_s.mean()), 2),
        **_limits("seconds_with", means[0]),
        "seconds_without": round(float(without_s.mean()), 2),
        **_limits("seconds_without", means[1]),
        "times_faster": round(float(without_s.mean() / with_s.mean()), 3),
        **_limits("times_faster", ratio),
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        "minutes_saved_a_round": round(float((without_s - with_s).mean()) * minutes, 1) + 0.0,
        **_limits("minutes_saved_a_round", saved * minutes),
    }


def _threshold_row(
    name: str, seen: Sequence[SeenPhoto], action_s: ReviewCoefficients, n_round: int, seed: int
) -> dict[str, Any]:
    """Return the minutes saved a round, were pre-labels shown from other confidences on."""
    rows = {
        threshold: _row(name, "", [replay(photo, threshold) for photo in seen], action_s, n_round, seed)
        for threshold in THRESHOLDS
    }
    return {"photos": name, **{f"{threshold:g}": row["minutes_saved_a_round"] for threshold, row in rows.items()}}


def _counts_row(name: str, reviews: Sequence[ReplayedReview]) -> dict[str, Any]:
    total = {gesture.value: sum(review.n(gesture) for review in reviews) for gesture in _GESTURES}
    return {
        "photos": name,
        "n_images": len(reviews),
        "groups": len({review.group for review in reviews}),
        "boxes": sum(len(review.boxes) for review in reviews),
        **total,
    }


def _class_row(
    name: str, reviews: Sequence[ReplayedReview], label: str, action_s: ReviewCoefficients, n_round: int
) -> dict[str, Any]:
    done = np.array([0.0, *(float(sum(r.n(gesture, label) for r in reviews)) for gesture in _GESTURES)])
    n_boxes = sum(box.damage_class == label for review in reviews for box in review.boxes)
    saved_s = action_s.draw_s * n_boxes - float(done @ action_s.as_array())
    return {
        "photos": name,
        "class": label,
        "boxes": n_boxes,
        **{gesture.value: int(count) for gesture, count in zip(_GESTURES, done[1:], strict=True)},
        "seconds_saved_a_box": round(saved_s / n_boxes, 2) if n_boxes else None,
        "seconds_saved_an_image": round(saved_s / len(reviews), 2),
        "minutes_saved_a_round": round(saved_s / len(reviews) * n_round / 60.0, 1) + 0.0,
    }


def _actions(reviews: Sequence[ReplayedReview]) -> FloatArray:
    return np.array([[1.0, *(float(review.n(gesture)) for gesture in _GESTURES)] for review in reviews])


def _resampled(groups: Sequence[str], seed: int) -> FloatArray:
    """Return how often each resample of groups has each image, shape (RESAMPLES, n_images)."""
    names, codes = np.unique(np.array(groups, dtype=str), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=RESAMPLES)
    return drawn[:, codes.reshape(-1)].astype(np.float64)


def _limits(name: str, values: FloatArray) -> dict[str, float]:
    low, high = np.quantile(values, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return {f"{name}_low": round(float(low), 3), f"{name}_high": round(float(high), 3)}


def _seen(name: str, detector: Detector, found: Iterable[TruePhoto], params: Params) -> list[SeenPhoto]:
    photos = []
    for photo in found:
        photos.append(see(detector, photo, params))
        if len(photos) % 100 == 0:
            print(f"{name}: {len(photos)} photos", file=sys.stderr)
    if not photos:
        raise InvalidInputError(f"There is no photo to replay in {name}.")
    return photos


def _logged(home: Path) -> dict[str, Any]:
    """Return what a platform logged. In a demo the simulated annotator's seconds stand there."""
    from damageloop.bootstrap.database import make_unit_of_work_factory
    from damageloop.services.reviews.review_times import ReviewTimes
    from damageloop.settings import Settings

    settings = Settings(home=home)
    return asdict(ReviewTimes(make_unit_of_work_factory(settings), load_params(settings.params_file))())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.review_time", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--markdown", type=Path, help="where the report for people goes")
    parser.add_argument("--photos", type=int, default=240, help="generated photos; 0 for none")
    parser.add_argument("--seed", type=int, default=31, help="of the photos and the bootstrap")
    parser.add_argument("--annotations", type=Path, action="append", default=[], help="COCO file; may be repeated")
    parser.add_argument("--images", type=Path, action="append", default=[], help="folder of each COCO file's photos")
    parser.add_argument("--home", type=Path, help="a platform whose logged times stand beside")
    parser.add_argument("--weights", type=Path, default=_ROOT / "starter" / "starter-yolo11n.pt")
    parser.add_argument("--params", type=Path, default=_ROOT / "params.yaml")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if len(options.annotations) != len(options.images):
        parser.error("each --annotations needs its --images")
    if not options.photos and not options.annotations:
        parser.error("nothing to replay: give --photos or --annotations")
    return options


if __name__ == "__main__":
    main()
