"""Label Studio's JSON: the only place that knows its region format.

Boxes go out and come in as canonical pixels; the percent format exists only here, through `domain/geometry.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict, current_boxes
from damageloop.domain.geometry import Box, from_percent, to_percent
from damageloop.domain.labels import NO_DAMAGE, NO_FORMER_NAMES, UNUSABLE, FormerNames
from damageloop.domain.prediction import Detection, PreAnnotation
from damageloop.domain.severity import Severity
from damageloop.errors import InvalidInputError

LABEL = "label"
IMAGE = "image"
VERDICT = "verdict"
RECTANGLE = "rectanglelabels"
CHOICES = "choices"
# Where an annotator says why an image was skipped or can't be used, by choosing and by writing; about no damage.
WHY = "why"
REASON = "reason"
TEXT = "text"
# How bad the damage of one box is: a region of its own that has the id of the box.
SEVERITY = "severity"
SEVERITIES = frozenset(severity.value for severity in Severity)
MAX_NOTE_LENGTH = 1000


class UnreadableRegionError(InvalidInputError):
    """A region that is no labeled box of ours, so that nobody can say what the annotator meant."""

    code = "unreadable_region"


def to_prediction(item: PreAnnotation, former: FormerNames = NO_FORMER_NAMES) -> dict[str, Any]:
    """Return the prediction that Label Studio stores: it serves the lowest `score` of the bound version first.

    No detections give `"result": []`, which shows nothing and still holds the task's place in the queue. Label Studio
    refuses a prediction by the name that is shown where a class has an alias. How bad a person called a damage comes
    with it, where the boxes are an annotation that was sent back.
    """
    regions = []
    for number, (detection, severity) in enumerate(zip_longest(item.detections, item.severities)):
        region = _region(number, detection, item.size_wh, former)
        regions.append(region)
        if severity is not None:
            regions.append(to_severity(region, severity))
    return {"model_version": str(item.model_version), "score": item.rank_score, "result": regions}


def to_region(region_id: str, labeled: LabeledBox, size_wh: tuple[int, int]) -> dict[str, Any]:
    """Return the region of a box, as the editor submits it."""
    x, y, width, height = to_percent(labeled.box, size_wh)
    return {
        "id": region_id,
        "from_name": LABEL,
        "to_name": IMAGE,
        "type": RECTANGLE,
        "original_width": size_wh[0],
        "original_height": size_wh[1],
        "image_rotation": 0,
        "value": {
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "rotation": 0,
            RECTANGLE: [labeled.damage_class],
        },
    }


def to_severity(region: Mapping[str, Any], severity: str) -> dict[str, Any]:
    """Return what says how bad the damage of a region is, as the editor submits it: under the id of the region."""
    place = {key: value for key, value in region["value"].items() if key != RECTANGLE}
    said = {key: value for key, value in region.items() if key != "score"}
    return {**said, "from_name": SEVERITY, "type": CHOICES, "value": {**place, CHOICES: [severity]}}


def to_choice(choice: str) -> dict[str, Any]:
    """Return the region of `no damage` or `unusable photo`, as the editor submits it."""
    return {
        "id": VERDICT,
        "from_name": VERDICT,
        "to_name": IMAGE,
        "type": CHOICES,
        "value": {CHOICES: [choice]},
    }


def to_reason(words: str) -> dict[str, Any]:
    """Return the region of the reason for a skip or an unusable photo, as the editor submits it."""
    return {
        "id": REASON,
        "from_name": REASON,
        "to_name": IMAGE,
        "type": "textarea",
        "value": {TEXT: [words]},
    }


def parse_annotation(
    annotation: Mapping[str, Any], former: FormerNames = NO_FORMER_NAMES
) -> tuple[Verdict, tuple[LabeledBox, ...]]:
    """Return what an annotation of Label Studio says of its image.

    A skipped task is SKIPPED. Boxes make an image DAMAGED, whatever was chosen beside them; without boxes the
    choice decides, and neither boxes nor a choice is INCOMPLETE. Boxes are clipped to the image, one that lies
    outside is dropped, a rotated one becomes the upright box around it. A region of another kind, without a
    label or without the image's size makes the annotation INCOMPLETE: what it meant is not guessed. So does a box of a
    removed class where it is the only one: that the image shows nothing else was never said.
    """
    if annotation.get("was_cancelled"):
        return Verdict.SKIPPED, ()
    try:
        drawn = _drawn(annotation)
    except UnreadableRegionError:
        return Verdict.INCOMPLETE, ()
    boxes = current_boxes(drawn, former)
    if drawn:
        return (Verdict.DAMAGED if boxes else Verdict.INCOMPLETE), boxes
    chosen = _chosen(annotation)
    if UNUSABLE in chosen:
        return Verdict.UNUSABLE, ()
    return (Verdict.CLEAN if NO_DAMAGE in chosen else Verdict.INCOMPLETE), ()


def is_blank(annotation: Mapping[str, Any]) -> bool:
    """Tell whether somebody submitted it without a box and without a choice.

    It is then INCOMPLETE. So is one whose boxes are all of removed classes, but that one said something.
    """
    try:
        is_silent = not _drawn(annotation) and not _chosen(annotation) & {NO_DAMAGE, UNUSABLE}
    except UnreadableRegionError:
        return False
    return is_silent and not annotation.get("was_cancelled")


def parse_note(annotation: Mapping[str, Any]) -> str | None:
    """Return why the annotator skipped the image or can't use it: what was chosen or written, or None.

    Label Studio sends it with a skip, too. Several lines are joined by "; ".
    """
    said = annotation.get("result") or []
    values = [r.get("value") or {} for name in (WHY, REASON) for r in said if r.get("from_name") == name]
    lines = [line for value in values for key in (TEXT, CHOICES) for line in _lines(value.get(key))]
    return "; ".join(lines)[:MAX_NOTE_LENGTH] or None


def _lines(said: Any) -> list[str]:
    return [str(line).strip() for line in (said if isinstance(said, list) else [said]) if line and str(line).strip()]


def _drawn(annotation: Mapping[str, Any]) -> tuple[LabeledBox, ...]:
    """Return the boxes with what was said of each. Raises UnreadableRegionError for a region that is no box."""
    regions = [r for r in annotation.get("result") or [] if r.get("from_name") not in (REASON, WHY)]
    graded = {r.get("id"): _severity(r) for r in regions if r.get("from_name") == SEVERITY}
    found = [(r, _labeled_box(r)) for r in regions if r.get("type") != CHOICES]
    return tuple(replace(box, severity=graded.get(region.get("id"))) for region, box in found if box is not None)


def _severity(region: Mapping[str, Any]) -> str | None:
    said = (region.get("value") or {}).get(CHOICES) or (None,)
    return str(said[0]) if said[0] in SEVERITIES else None


def _chosen(annotation: Mapping[str, Any]) -> set[str]:
    regions = [r for r in annotation.get("result") or [] if r.get("from_name") not in (REASON, WHY, SEVERITY)]
    return {choice for region in regions for choice in (region.get("value") or {}).get(CHOICES, ())}


def _region(number: int, detection: Detection, size_wh: tuple[int, int], former: FormerNames) -> dict[str, Any]:
    box = detection.box.clipped(size_wh)
    if box is None:
        raise InvalidInputError(f"Detection {number} lies outside its {size_wh} image.")
    region = to_region(f"p{number}", LabeledBox(former.written(detection.damage_class), box), size_wh)
    return {**region, "score": detection.confidence}


def _labeled_box(region: Mapping[str, Any]) -> LabeledBox | None:
    value = region.get("value") or {}
    names = value.get(RECTANGLE) or ()
    if region.get("type") != RECTANGLE or not names:
        raise UnreadableRegionError(f"Region {region.get('id')} is no labeled rectangle.")
    size_wh = _size(region)
    box = _upright_box(region, value, size_wh)
    clipped = box.clipped(size_wh) if box is not None else None
    return LabeledBox(str(names[0]), clipped) if clipped is not None else None


def _size(region: Mapping[str, Any]) -> tuple[int, int]:
    width, height = region.get("original_width") or 0, region.get("original_height") or 0
    if width <= 0 or height <= 0 or region.get("image_rotation"):
        raise UnreadableRegionError(f"Region {region.get('id')} does not refer to the upright image.")
    return int(width), int(height)


def _upright_box(region: Mapping[str, Any], value: Mapping[str, Any], size_wh: tuple[int, int]) -> Box | None:
    try:
        x, y, width, height = (float(value[key]) for key in ("x", "y", "width", "height"))
        angle = math.radians(float(value.get("rotation") or 0.0))
    except (KeyError, TypeError, ValueError) as exc:
        raise UnreadableRegionError(f"Region {region.get('id')} has no complete rectangle.") from exc
    if not all(math.isfinite(number) for number in (x, y, width, height, angle)):
        raise UnreadableRegionError(f"Region {region.get('id')} has a number that is not finite.")
    if width <= 0 or height <= 0:
        return None
    return _around(from_percent((x, y, width, height), size_wh), angle)


def _around(box: Box, angle: float) -> Box:
    """Return the upright box around a box turned clockwise by `angle` radians about its top-left corner."""
    if angle == 0.0:
        return box
    sine, cosine = math.sin(angle), math.cos(angle)
    corners = [(dx, dy) for dx in (0.0, box.width) for dy in (0.0, box.height)]
    xs = [box.x_min + dx * cosine - dy * sine for dx, dy in corners]
    ys = [box.y_min + dx * sine + dy * cosine for dx, dy in corners]
    return Box(min(xs), min(ys), max(xs), max(ys))
