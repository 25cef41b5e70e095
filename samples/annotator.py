"""The simulated annotator: works through Label Studio's HTTP API as a browser does, and knows the truth.

`python -m samples.annotator --url http://localhost:8080 --project 1 --token-file FILE --truth truth.json`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from damageloop.adapters.label_studio.regions import parse_annotation, to_choice, to_region
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box, boxes_array, iou_matrix
from damageloop.domain.labels import NO_DAMAGE, UNUSABLE
from samples.labeling_page import LabelingPage

# Seconds of work: for the photo as a whole, and for each kind of box.
PHOTO_S = 6.0
ACCEPT_S = 1.6
EDIT_S = 4.5
REJECT_S = 1.5
DRAW_S = 10.0
# A pre-label this close to the truth is left as it is; below the second value it is not taken for the same damage.
ACCEPT_IOU = 0.8
MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class PhotoTruth:
    """What is really on a photo."""

    size_wh: tuple[int, int]
    boxes: tuple[LabeledBox, ...]
    is_unusable: bool = False


@dataclass(frozen=True, slots=True)
class Habits:
    """How the simulated person works.

    Attributes:
        box_jitter: Standard deviation of each side of a drawn box, as a share of its size.
        time_spread: Standard deviation of the logarithm of the working time.
    """

    box_jitter: float = 0.03
    time_spread: float = 0.2


@dataclass(slots=True)
class WorkReport:
    """What a sitting came to; `seconds` are simulated."""

    tasks: int = 0
    skipped: int = 0
    clean: int = 0
    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    drawn: int = 0
    seconds: float = 0.0
    task_ids: list[int] = field(default_factory=list)


Truth = Callable[[int], PhotoTruth | None]


def annotate(
    page: LabelingPage,
    truth: Truth,
    rng: np.random.Generator,
    habits: Habits | None = None,
    limit: int | None = None,
) -> WorkReport:
    """Work until no task is left or `limit` tasks are done.

    A photo whose truth is unknown is skipped.
    """
    report = WorkReport()
    while limit is None or report.tasks + report.skipped < limit:
        task = page.next_task()
        if task is None:
            break
        photo = truth(task["data"]["image_id"])
        if photo is None:
            page.skip(task["id"], PHOTO_S)
            report.skipped += 1
            report.seconds += PHOTO_S
            continue
        _do(page, task, photo, rng, habits or Habits(), report)
    return report


def correct(
    shown: Sequence[LabeledBox],
    photo: PhotoTruth,
    rng: np.random.Generator,
    box_jitter: float,
    report: WorkReport,
) -> tuple[list[LabeledBox], float]:
    """Return (the boxes a person leaves, seconds of work), and count each gesture in the report."""
    matches = _matches(shown, photo.boxes)
    boxes: list[LabeledBox] = []
    seconds = PHOTO_S
    for index, (true, overlap) in sorted(matches.items()):
        is_good = overlap >= ACCEPT_IOU and shown[index].damage_class == true.damage_class
        boxes.append(shown[index] if is_good else _drawn(true, photo.size_wh, rng, box_jitter))
        seconds += ACCEPT_S if is_good else EDIT_S
        report.accepted += is_good
        report.edited += not is_good
    matched = {id(true) for true, _ in matches.values()}
    missed = [true for true in photo.boxes if id(true) not in matched]
    boxes += [_drawn(true, photo.size_wh, rng, box_jitter) for true in missed]
    report.drawn += len(missed)
    report.rejected += len(shown) - len(matches)
    return boxes, seconds + DRAW_S * len(missed) + REJECT_S * (len(shown) - len(matches))


def load_truth(path: Path) -> Truth:
    """Return the truth in a JSON file: `{image_id: {size_wh, boxes: [[class, x_min, y_min, x_max, y_max]]}}`."""
    content = json.loads(path.read_text())
    photos = {
        int(image_id): PhotoTruth(
            size_wh=(int(row["size_wh"][0]), int(row["size_wh"][1])),
            boxes=tuple(LabeledBox(name, Box(*corners)) for name, *corners in row["boxes"]),
            is_unusable=bool(row.get("is_unusable", False)),
        )
        for image_id, row in content.items()
    }
    return photos.get


def _do(
    page: LabelingPage,
    task: dict[str, Any],
    photo: PhotoTruth,
    rng: np.random.Generator,
    habits: Habits,
    report: WorkReport,
) -> None:
    prediction = next(iter(task.get("predictions") or []), None)
    _, shown = parse_annotation(prediction) if prediction else (None, ())
    truth = PhotoTruth(photo.size_wh, ()) if photo.is_unusable else photo
    boxes, seconds = correct(shown, truth, rng, habits.box_jitter, report)
    seconds = round(seconds * float(rng.lognormal(0.0, habits.time_spread)), 2)
    result = [to_region(f"r{n}", box, photo.size_wh) for n, box in enumerate(boxes)]
    if not boxes:
        result = [to_choice(UNUSABLE if photo.is_unusable else NO_DAMAGE)]
    page.submit(task["id"], result, seconds, prediction["id"] if prediction else None)
    report.tasks += 1
    report.clean += not boxes and not photo.is_unusable
    report.seconds += seconds
    report.task_ids.append(task["id"])


def _matches(shown: Sequence[LabeledBox], true: Sequence[LabeledBox]) -> dict[int, tuple[LabeledBox, float]]:
    """Return for each pre-label that shows a real damage (the damage, overlap); the closest pairs first."""
    overlaps = iou_matrix(boxes_array([b.box for b in shown]), boxes_array([b.box for b in true]))
    found: dict[int, tuple[LabeledBox, float]] = {}
    while overlaps.size and overlaps.max() >= MATCH_IOU:
        row, column = (int(i) for i in np.unravel_index(int(overlaps.argmax()), overlaps.shape))
        found[row] = (true[column], float(overlaps[row, column]))
        overlaps[row, :] = 0.0
        overlaps[:, column] = 0.0
    return found


def _drawn(true: LabeledBox, size_wh: tuple[int, int], rng: np.random.Generator, box_jitter: float) -> LabeledBox:
    """Return the box as a hand draws it: every side off by a few percent of the size, inside the photo."""
    box = true.box
    # At most a quarter of the size, so that the sides never cross.
    shares = np.clip(rng.normal(0.0, box_jitter, 4), -0.25, 0.25)
    corners = np.array(box.as_tuple()) + shares * np.array([box.width, box.height, box.width, box.height])
    moved = Box(*(float(value) for value in corners)).clipped(size_wh)
    return LabeledBox(true.damage_class, moved or box)


def main() -> None:
    """Annotate from the command line and print the report as JSON."""
    parser = argparse.ArgumentParser(prog="samples.annotator", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--project", type=int, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True, help="JSON: image id to size and boxes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    page = LabelingPage(arguments.url, arguments.token_file.read_text().strip(), arguments.project)
    rng = np.random.default_rng(arguments.seed)
    report = annotate(page, load_truth(arguments.truth), rng, limit=arguments.limit)
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()
