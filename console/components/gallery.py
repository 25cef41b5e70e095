"""Images of the API's gallery as tiles: boxes drawn, who found them in words, and what may be done about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from console import session
from console.components import words
from console.components.photos import TILE_PX, Mark, Tile, box_of, boxes_on, class_colors, grid, thumbnail
from damageloop_client import DamageloopError

VERDICTS = {
    "damaged": "Damaged",
    "clean": "None",
    "unusable": "Unusable photo",
    "skipped": "Skipped",
    "incomplete": "Submitted without boxes and without a choice",
}
PAGE_SIZE = 24
COLUMNS = 4


def tiles_of(image_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return these images as the gallery describes them, in this order."""
    if not image_ids:
        return []
    found: list[dict[str, Any]] = session.client().get("/v1/image-tiles", image_id=list(image_ids))
    return found


def tile_of(item: Mapping[str, Any], more: str = "", size: int = TILE_PX) -> Tile:
    """Return the tile of an image; what people drew is solid, what the champion sees is dashed."""
    marks = [*drawn_marks(item), *(predicted_marks(item) if item["annotation"] is None else [])]
    return Tile(
        picture(item, marks, size), alt_of(item), "  \n".join(line for line in (caption_of(item), more) if line)
    )


def picture(item: Mapping[str, Any], marks: Sequence[Mark], size: int = TILE_PX) -> bytes | None:
    """Return a small picture of an image with boxes, None where there is none any more."""
    try:
        return boxes_on(thumbnail(item["id"], size), (item["width"], item["height"]), marks)
    except DamageloopError:
        return None


def drawn_marks(item: Mapping[str, Any]) -> list[Mark]:
    """Return the boxes that people drew."""
    boxes = (item["annotation"] or {}).get("boxes", [])
    colors = class_colors()
    return [_mark(colors, box["damage_class"], box["box"], box["damage_class"]) for box in boxes]


def predicted_marks(item: Mapping[str, Any]) -> list[Mark]:
    """Return the boxes that the champion shows; none of held-out images."""
    colors = class_colors()
    return [
        _mark(colors, found["damage_class"], found["box"], f"{found['damage_class']} {found['confidence']:.2f}", True)
        for found in item["detections"] or []
    ]


def caption_of(item: Mapping[str, Any]) -> str:
    """Return what is known of an image in two lines: number and car, and what was said of it."""
    said = item["annotation"]
    verdict = f"People: {VERDICTS[said['verdict']]}" if said else "Not annotated"
    score = "" if item["top_score"] is None else f" · highest score {item['top_score']:.2f}"
    return f"**{item['id']}** · {item['vehicle']} · {item['split']}  \n{verdict}{score}"


def alt_of(item: Mapping[str, Any]) -> str:
    """Return what a tile shows, in words."""
    if item["annotation"] is not None:
        names = [box["damage_class"] for box in item["annotation"]["boxes"]]
        shows = f"people drew {_listed(names)}" if names else f"people said {VERDICTS[item['annotation']['verdict']]}"
    elif item["detections"]:
        shows = f"the champion shows {_listed([found['damage_class'] for found in item['detections']])}"
    else:
        shows = "no boxes"
    return f"Photo {item['id']} of {item['vehicle']}: {shows}"


def selectable_grid(
    items: Sequence[Mapping[str, Any]],
    key: str,
    more: Callable[[Mapping[str, Any]], str] = lambda _: "",
    below: Callable[[Mapping[str, Any]], None] | None = None,
) -> list[int]:
    """Show images with a box to select each, and return the numbers of those selected."""
    chosen: list[int] = []

    def draw(place: int) -> None:
        image_id = int(items[place]["id"])
        if st.checkbox(f"Select {image_id}", key=f"{key}-select-{image_id}"):
            chosen.append(image_id)
        if below is not None:
            below(items[place])

    grid([tile_of(item, more(item)) for item in items], COLUMNS, draw)
    return chosen


def class_names() -> list[str]:
    """Return the damage classes."""
    return list(class_colors())


def _mark(colors: Mapping[str, str], name: str, box: dict[str, float], text: str, is_dashed: bool = False) -> Mark:
    color = colors.get(name)
    return Mark(box_of(box), text, color, is_dashed) if color else Mark(box_of(box), text, is_dashed=is_dashed)


def _listed(names: Sequence[str]) -> str:
    counted = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(f"{n} {words.plain(name)}" for name, n in counted.items())
