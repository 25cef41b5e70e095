"""Whether landscape photos get the same boxes through their own shape as through the padded square."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.serving import requests as http
from benchmarks.serving.contest import Contest
from benchmarks.serving.process import StartError
from damageloop.domain.geometry import iou_matrix

_SAME_IOU = 0.5
_N_PHOTOS = 40


def compare_shapes(contest: Contest, precision: str) -> dict[str, Any]:
    """Ask both of our servers about the same photos; return how far their answers differ.

    A detection is matched when the other answer has one of its class that overlaps it by half or more.
    """
    name = f"ours {precision}, landscape photos"
    try:
        answers = [_answers(contest, side) for side in (name, f"{name} in the square")]
    except (StartError, KeyError) as exc:
        return {"failed": str(exc)}
    n_boxes, overlaps, score_differences = 0, [], []
    for own, square in zip(*answers, strict=True):
        n_boxes += len(own) + len(square)
        for overlap, difference in _matches(own, square):
            overlaps.append(overlap)
            score_differences.append(difference)
    return {
        "photos": len(answers[0]),
        "detections": [sum(len(boxes) for boxes in side) for side in answers],
        "matched_share": round(2 * len(overlaps) / n_boxes, 4) if n_boxes else None,
        "median_iou": round(float(np.median(overlaps)), 4) if overlaps else None,
        "median_score_difference": round(float(np.median(score_differences)), 4) if overlaps else None,
    }


def _answers(contest: Contest, name: str) -> list[list[dict[str, Any]]]:
    side = contest.side(name)
    found = []
    for path in sorted(side.requests.glob("*.http"))[:_N_PHOTOS]:
        answer = json.loads(http.ask(side.port, path.read_bytes()).partition(b"\r\n\r\n")[2])
        found.append(list(answer["images"][0]["detections"]))
    side.server.pause()
    return found


def _matches(own: list[dict[str, Any]], square: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return overlap and difference of confidence of each pair, one square box for each own box at most."""
    free, pairs = list(range(len(square))), []
    overlaps = iou_matrix(_boxes(own), _boxes(square))
    for number, detection in enumerate(own):
        fitting = [i for i in free if square[i]["damage_class"] == detection["damage_class"]]
        best = max(fitting, key=lambda i: overlaps[number, i], default=None)
        if best is not None and overlaps[number, best] >= _SAME_IOU:
            free.remove(best)
            pairs.append((float(overlaps[number, best]), abs(detection["confidence"] - square[best]["confidence"])))
    return pairs


def _boxes(detections: list[dict[str, Any]]) -> Any:
    sides = ("x_min", "y_min", "x_max", "y_max")
    return np.array([[one["box"][side] for side in sides] for one in detections], dtype=np.float64).reshape(-1, 4)
