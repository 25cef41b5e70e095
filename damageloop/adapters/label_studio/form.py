"""The labeling configuration: what annotators find on the page of a photo, and by which keys. Knows no project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from string import ascii_lowercase
from xml.etree import ElementTree

from damageloop.adapters.label_studio.regions import IMAGE, LABEL, REASON, SEVERITY, VERDICT, WHY
from damageloop.domain.labels import NO_DAMAGE, NO_FORMER_NAMES, REASONS, UNUSABLE, FormerNames, class_color
from damageloop.domain.severity import Severity

# The field of a task's data that says why the photo comes again; tasks that are seen for the first time have none.
NOTE = "note"

# Keys that the editor does not use for its own tools; classes beyond them get none.
CLASS_HOTKEYS = "12345678qwasdfgtyijkl"
CHOICE_HOTKEYS = {NO_DAMAGE: "9", UNUSABLE: "0"}
REASON_HOTKEYS = "zxcbnmop"
SEVERITY_HOTKEYS = ("shift+a", "shift+s", "shift+d")
# Of classes that were removed: on old regions only, for nobody can choose them.
REMOVED_COLOR = "#9E9E9E"
# What stands above and below the photo takes so much: the whole photo is seen without scrolling.
AROUND_PHOTO = "260px"
AROUND_PHOTO_WITH_SEVERITY = "310px"
ROW = "display: flex; flex-wrap: wrap; align-items: center; column-gap: 24px;"
HIDDEN = "display: none;"
# The editor leaves more room around each part than a page has that is looked at all day.
COMPACT = (
    ".lsf-choices, .lsf-labels { margin-top: 0; margin-bottom: 4px; } .lsf-text-area { margin: 0; min-width: 320px; }"
)


@dataclass(frozen=True, slots=True)
class Form:
    """What an annotator can say beside boxes.

    Attributes:
        reasons: To be chosen where a photo is skipped or can't be used.
        has_severity: Each box may be called minor, moderate or severe.
    """

    reasons: tuple[str, ...] = REASONS
    has_severity: bool = False


def labeling_config(classes: Sequence[str], former: FormerNames = NO_FORMER_NAMES, form: Form | None = None) -> str:
    """Return the labeling configuration: all that is chosen above the photo, which is seen as a whole below it.

    Below the photo choices would fall under the page's footer on a common screen. A renamed class keeps its first
    name as alias, which is what Label Studio writes, so that old and new regions are one class there. A removed one
    stays as a label that is not offered, so that old regions keep their name.
    """
    asked = form or Form()
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Style").text = COMPACT
    # Without a name Label Studio does not ask that every task has the field.
    ElementTree.SubElement(view, "Header", value=f"${NOTE}", size="5")
    upper = ElementTree.SubElement(view, "View", style=ROW)
    upper.append(_verdict())
    upper.append(_labels(classes, former))
    lower = ElementTree.SubElement(view, "View", style=ROW)
    lower.append(_choices(WHY, zip(asked.reasons, REASON_HOTKEYS, strict=False), choice="multiple"))
    lower.append(_reason())
    view.append(_severity(asked.has_severity))
    view.append(_image(AROUND_PHOTO_WITH_SEVERITY if asked.has_severity else AROUND_PHOTO))
    return ElementTree.tostring(view, encoding="unicode")


def class_hotkeys(classes: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each class with its key, None for those beyond the keys there are."""
    for index, name in enumerate(classes):
        yield name, CLASS_HOTKEYS[index] if index < len(CLASS_HOTKEYS) else None


def _verdict() -> ElementTree.Element:
    return _choices(VERDICT, CHOICE_HOTKEYS.items(), choice="single")


def _labels(classes: Sequence[str], former: FormerNames) -> ElementTree.Element:
    labels = ElementTree.Element(
        "RectangleLabels", name=LABEL, toName=IMAGE, showInline="true", strokeWidth="2", canRotate="false"
    )
    for index, (name, hotkey) in enumerate(class_hotkeys(classes)):
        label = ElementTree.SubElement(labels, "Label", value=name, background=class_color(index))
        if hotkey:
            label.set("hotkey", hotkey)
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
    return labels


def _choices(name: str, values: Iterable[tuple[str, str]], **more: str) -> ElementTree.Element:
    choices = ElementTree.Element(
        "Choices", {"name": name, "toName": IMAGE, "showInline": "true", "required": "false", **more}
    )
    for value, hotkey in values:
        ElementTree.SubElement(choices, "Choice", value=value, hotkey=hotkey)
    return choices


def _reason() -> ElementTree.Element:
    return ElementTree.Element(
        "TextArea",
        name=REASON,
        toName=IMAGE,
        rows="1",
        maxSubmissions="1",
        editable="true",
        required="false",
        placeholder="Why skipped or unusable (Enter keeps it)",
    )


def _severity(is_asked: bool) -> ElementTree.Element:
    """Return the choices for the selected box; they are there unseen where nobody is asked.

    Label Studio refuses a configuration without a control that annotations have used: switched on once, severity could
    never be switched off again.
    """
    part = ElementTree.Element("View", style=ROW if is_asked else HIDDEN)
    levels = [severity.value for severity in Severity]
    hotkeys = SEVERITY_HOTKEYS if is_asked else [f"ctrl+alt+shift+{number}" for number in range(len(levels))]
    part.append(_choices(SEVERITY, list(zip(levels, hotkeys, strict=True)), choice="single-radio", perRegion="true"))
    return part


def _image(around: str) -> ElementTree.Element:
    return ElementTree.Element(
        "Image",
        name=IMAGE,
        value=f"${IMAGE}",
        zoom="true",
        zoomControl="true",
        brightnessControl="true",
        contrastControl="true",
        rotateControl="false",
        maxHeight=f"calc(100vh - {around})",
    )
