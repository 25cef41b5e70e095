"""What annotators read before they begin: classes with definitions and examples, keys, what to do when unsure.

Label Studio shows it when the labeling begins, and again by a button. It takes styles and embedded pictures out of it,
so there are none: pictures have addresses. Everything in it is escaped but our own markup.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from damageloop.adapters.label_studio.form import (
    CHOICE_HOTKEYS,
    REASON_HOTKEYS,
    SEVERITY_HOTKEYS,
    Form,
    class_hotkeys,
)
from damageloop.domain.labels import NO_DAMAGE, UNUSABLE
from damageloop.domain.severity import Severity

# Below the document root, beside the photos.
EXAMPLES = "examples"
EXAMPLE_SIZE_WH = (240, 180)
EXAMPLES_EACH = 2
EXAMPLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Keys of Label Studio itself, tried in Chromium.
EDITOR_KEYS = {
    "Ctrl+Enter": "submit",
    "Ctrl+Space": "skip",
    "Backspace": "delete the selected box",
    "u": "unselect",
    "Ctrl+Z": "undo",
    "h": "move the photo (v: back to boxes)",
    "Ctrl+plus, Ctrl+minus": "zoom, as Ctrl and the wheel do",
    "Shift+1": "the whole photo again",
    "Ctrl+H": "hide and show all boxes",
}
_BEGIN = (
    "<p>Draw a tight box around every damage that you can see, and give it its class. Boxes that are there already are "
    "guesses of the model: keep, correct or delete them. The number beside one in the list of regions is how sure the "
    "model is, from 0 to 1. Some photos show no guesses on purpose.</p>"
)
_UNSURE = (
    "<p><b>When you are unsure</b>: zoom in, and brighten a dark photo with the sun in the toolbar. If you would "
    "show it to a buyer, draw it. If you can't tell even so, skip the photo and say why: it is no fault. Dirt, water, "
    "stickers and reflections are no damage.</p>"
)
_BLANK = (
    "<p>A submit without a box and without a choice says nothing, so such a photo comes back to be finished. A line "
    "above a photo says why somebody wants it to be looked at again.</p>"
)


@dataclass(frozen=True, slots=True)
class ClassText:
    """A class as annotators read of it."""

    name: str
    definition: str


def read_examples(folder: Path, names: Sequence[str]) -> dict[str, tuple[bytes, ...]]:
    """Return small JPEG pictures by name: of files `NAME.jpg`, `NAME-2.jpg` and so on; none without a folder.

    What is no picture is left out: an example is a help, and no work waits for it.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in EXAMPLE_SUFFIXES)
    found: dict[str, tuple[bytes, ...]] = {}
    for name in names:
        fitting = [path for path in files if path.stem == name or path.stem.rpartition("-")[0] == name]
        pictures = [picture for path in fitting[:EXAMPLES_EACH] if (picture := _picture(path))]
        if pictures:
            found[name] = tuple(pictures)
    return found


def address_of(picture: bytes) -> str:
    """Return where Label Studio serves an example, once it lies in the folder `EXAMPLES` of the document root."""
    return f"/data/local-files/?d={EXAMPLES}/{file_name(picture)}"


def file_name(picture: bytes) -> str:
    """Return the name of an example's file: another picture has another, whatever a browser remembers."""
    return f"{hashlib.sha256(picture).hexdigest()[:16]}.jpg"


def instruction(classes: Sequence[ClassText], form: Form, examples: Mapping[str, Sequence[str]]) -> str:
    """Return the text as HTML.

    Args:
        classes: In the order of their keys.
        form: What can be said beside boxes.
        examples: Addresses of pictures by class, and of photos for which one of the choices is right.
    """
    hotkeys = dict(class_hotkeys([each.name for each in classes]))
    rows = [_row(each.name, hotkeys[each.name], each.definition, examples.get(each.name, ())) for each in classes]
    rows += [_row(name, CHOICE_HOTKEYS[name], text, examples.get(name, ())) for name, text in _choice_texts().items()]
    table = f"<table><tbody>{''.join(rows)}</tbody></table>"
    why = f"<p><b>Why</b> a photo is unusable or skipped: {_keys(zip(REASON_HOTKEYS, form.reasons, strict=False))}.</p>"
    severity = _severity() if form.has_severity else ""
    return f"{_BEGIN}{table}{why}{severity}{_UNSURE}{_BLANK}<p><b>Keys</b>: {_keys(EDITOR_KEYS.items())}.</p>"


def _choice_texts() -> dict[str, str]:
    return {
        NO_DAMAGE: "You looked at the whole photo and there is none. Delete wrong boxes first: a box counts more.",
        UNUSABLE: "Nobody could tell whether there is damage, or it is no photo of a car. Say why.",
    }


def _row(name: str, hotkey: str | None, text: str, addresses: Sequence[str]) -> str:
    key = f" <kbd>{escape(hotkey)}</kbd>" if hotkey else ""
    shown = "".join(f'<img src="{escape(address)}" alt="Example: {escape(name)}">' for address in addresses)
    return f"<tr><td><b>{escape(name)}</b>{key}</td><td>{escape(text, quote=False)}<br>{shown}</td></tr>"


def _severity() -> str:
    keys = _keys(zip(SEVERITY_HOTKEYS, (severity.value for severity in Severity), strict=True))
    return f"<p><b>How bad</b>: with a box selected, {keys}.</p>"


def _keys(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"<kbd>{escape(key)}</kbd> {escape(text, quote=False)}" for key, text in pairs)


def _picture(path: Path) -> bytes | None:
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    picture.thumbnail(EXAMPLE_SIZE_WH)
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=80)
    return written.getvalue()
