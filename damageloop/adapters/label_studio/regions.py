"""Label Studio's JSON and labeling configuration: the only place that knows its region format.

Boxes go out and come in as canonical pixels; the percent format exists only here, through `domain/geometry.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from string import ascii_lowercase
from typing import Any
from xml.etree import ElementTree

from damageloop.domain.annotation import LabeledBox, Verdict, current_boxes
from damageloop.domain.geometry import Box, from_percent, to_percent
from damageloop.domain.labels import NO_DAMAGE, NO_FORMER_NAMES, UNUSABLE, FormerNames, class_color
from damageloop.domain.prediction import Detection, PreAnnotation
from damageloop.errors import InvalidInputError

LABEL = "label"
IMAGE = "image"
VERDICT = "verdict"
RECTANGLE = "rectanglelabels"
CHOICES = "choices"
# Where an annotator says why an image was skipped or can't be used; it is about no damage.
REASON = "reason"
TEXT = "text"
MAX_NOTE_LENGTH = 1000

# Keys that the editor does not use for its own tools; classes beyond them get none.
CLASS_HOTKEYS = "12345678qwasdfgtyijkl"
CHOICE_HOTKEYS = {NO_DAMAGE: "9", UNUSABLE: "0"}
# Of classes that were removed: on old regions only, for nobody can choose them.
REMOVED_COLOR = "#9E9E9E"


class UnreadableRegionError(InvalidInputError):
    """A region that is no labeled box of ours, so that nobody can say what the annotator meant."""

    code = "unreadable_region"


def labeling_config(classes: Sequence[str], former: FormerNames = NO_FORMER_NAMES) -> str:
    """Return the labeling configuration: choices and labels above the image, a color and a hotkey for each class.

    Below the image the choices would fall under the page's footer on a common screen. A renamed class keeps its first
    name as alias, which is what Label Studio writes, so that old and new regions are one class there. A removed one
    stays as a label that is not offered, so that old regions keep their name.
    """
    view = ElementTree.Element("View")
    choices = ElementTree.SubElement(
        view, "Choices", name=VERDICT, toName=IMAGE, choice="single", showInline="true", required="false"
    )
    for value, hotkey in CHOICE_HOTKEYS.items():
        ElementTree.SubElement(choices, "Choice", value=value, hotkey=hotkey)
    labels = ElementTree.SubElement(
        view,
        "RectangleLabels",
        name=LABEL,
        toName=IMAGE,
        showInline="true",
        strokeWidth="2",
        canRotate="false",
    )
    for index, name in enumerate(classes):
        label = ElementTree.SubElement(labels, "Label", value=name, background=class_color(index))
        if index < len(CLASS_HOTKEYS):
            label.set("hotkey", CLASS_HOTKEYS[index])
        if former.written(name) != name:
            label.set("alias", former.written(name))
    for name, letter in zip(former.removed, cycle(ascii_lowercase)):
        # Without a hotkey of its own the editor gives it a plain digit, and a slip would draw the class again.
        ElementTree.SubElement(
            labels,
            "Label",
            value=name,
            background=REMOVED_COLOR,
            visible="false",
            hotkey=f"ctrl+alt+shift+{letter}",
        )
    ElementTree.SubElement(
        view,
        "TextArea",
        name=REASON,
        toName=IMAGE,
        rows="1",
        maxSubmissions="1",
        editable="true",
        required="false",
        placeholder="Why skipped or unusable (Enter keeps it)",
    )
    ElementTree.SubElement(
        view,
        "Image",
        name=IMAGE,
        value=f"${IMAGE}",
        zoom="true",
        zoomControl="true",
        brightnessControl="true",
        contrastControl="true",
        rotateControl="false",
    )
    return ElementTree.tostring(view, encoding="unicode")


def to_prediction(item: PreAnnotation, former: FormerNames = NO_FORMER_NAMES) -> dict[str, Any]:
    """Return the prediction that Label Studio stores: it serves the lowest `score` of the bound version first.

    No detections give `"result": []`, which shows nothing and still holds the task's place in the queue. Label Studio
    refuses a prediction by the name that is shown where a class has an alias.
    """
    return {
        "model_version": str(item.model_version),
        "score": item.rank_score,
        "result": [_region(n, detection, item.size_wh, former) for n, detection in enumerate(item.detections)],
    }


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
    regions = [region for region in annotation.get("result") or [] if region.get("from_name") != REASON]
    try:
        found = [_labeled_box(region) for region in regions if region.get("type") != CHOICES]
    except UnreadableRegionError:
        return Verdict.INCOMPLETE, ()
    drawn = tuple(box for box in found if box is not None)
    boxes = current_boxes(drawn, former)
    if drawn:
        return (Verdict.DAMAGED if boxes else Verdict.INCOMPLETE), boxes
    chosen = {choice for region in regions for choice in (region.get("value") or {}).get(CHOICES, ())}
    if UNUSABLE in chosen:
        return Verdict.UNUSABLE, ()
    return (Verdict.CLEAN if NO_DAMAGE in chosen else Verdict.INCOMPLETE), ()


def parse_note(annotation: Mapping[str, Any]) -> str | None:
    """Return why the annotator skipped the image or can't use it: what was written or chosen under `reason`, or None.

    Label Studio sends what was written with a skip, too. Several lines are joined by "; ".
    """
    values = [r.get("value") or {} for r in annotation.get("result") or [] if r.get("from_name") == REASON]
    lines = [line for value in values for key in (TEXT, CHOICES) for line in _lines(value.get(key))]
    return "; ".join(lines)[:MAX_NOTE_LENGTH] or None


def _lines(said: Any) -> list[str]:
    return [str(line).strip() for line in (said if isinstance(said, list) else [said]) if line and str(line).strip()]


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
