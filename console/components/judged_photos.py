"""Photos of val with what people drew and what a model shows, side by side, and pages of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from console import session
from console.components.asking import asking
from console.components.confirm import confirm
from console.components.photos import LARGE_PX, Mark, Tile, box_of, boxes_on, class_colors, photo, thumbnail
from console.components.words import plain
from damageloop_client import NotFoundError

PAGE = 6
Side = tuple[str, Sequence[Mapping[str, Any]]]


def pages(path: str, key: str, draw: Callable[[Mapping[str, Any], str], None], **asked: Any) -> None:
    """Show a list of the API page by page; `draw` shows one item, given a prefix for its widgets' keys."""
    place = f"{key}-after"
    after: int | None = st.session_state.get(place)
    with st.spinner("Loading photos …"):
        found = session.client().get(path, limit=PAGE, **({"after": after} if after else {}), **asked)
    if not found["items"]:
        st.info("There is no such photo.", icon=":material/check:")
        return
    for item in found["items"]:
        with st.container(border=True):
            draw(item, f"{key}-{item['image_id']}")
    first, later, _ = st.columns([1, 1, 4])
    if first.button("First photos", key=f"{key}-first", disabled=not after):
        st.session_state[place] = None
        st.rerun()
    if later.button("More photos", key=f"{key}-more", disabled=found["next_after"] is None):
        st.session_state[place] = found["next_after"]
        st.rerun()


def side_by_side(item: Mapping[str, Any], sides: Sequence[Side]) -> None:
    """Show one photo once for each side, with that side's boxes."""
    for column, (name, boxes) in zip(st.columns(len(sides)), sides, strict=True):
        with column:
            st.markdown(f"**{name}**")
            photo(Tile(_picture(item, boxes), _alt(item, name, boxes), _listed(boxes)))


def follow_up(item: Mapping[str, Any], key: str) -> None:
    """Offer what one does with a photo: open it in Label Studio, or have it looked at again."""
    st.caption(f"{item['file_name']} · image {item['image_id']} · vehicle {item['vehicle']}")
    opened, back, _ = st.columns([1, 1, 3])
    if opened.button("Label Studio", key=f"{key}-open", icon=":material/open_in_new:"):
        with asking("the task"):
            _link(session.client().get(f"/v1/images/{item['image_id']}").get("label_studio_url"))
    if back.button("Send back", key=f"{key}-back", icon=":material/undo:"):
        confirm(
            f"Send back image {item['image_id']}",
            "Somebody looks at this photo again, and is told your reason. What is annotated now counts until then.",
            "Send it back",
            lambda why: session.client().post(f"/v1/images/{item['image_id']}/send-back", {"reason": why}),
            done=f"Image {item['image_id']} is sent back.",
            key=f"{key}-confirm",
        )


def _link(url: str | None) -> None:
    if url:
        st.link_button("Open the task", url)
    else:
        st.info("This photo has no task in Label Studio: its label was imported.")


def _picture(item: Mapping[str, Any], boxes: Sequence[Mapping[str, Any]]) -> bytes | None:
    colors = class_colors()
    marks = [
        Mark(
            box_of(b["box"]), _text(b), colors.get(b["damage_class"], "#CC79A7"), b.get("is_dashed", "confidence" in b)
        )
        for b in boxes
    ]
    try:
        return boxes_on(thumbnail(item["image_id"], LARGE_PX), (item["width"], item["height"]), marks)
    except NotFoundError:
        return None


def _text(box: Mapping[str, Any]) -> str:
    return f"{box['damage_class']} {box['confidence']:.2f}" if "confidence" in box else str(box["damage_class"])


def _alt(item: Mapping[str, Any], name: str, boxes: Sequence[Mapping[str, Any]]) -> str:
    return f"{item['file_name']}, {name}: {', '.join(_text(b) for b in boxes) or 'None'}"


def _listed(boxes: Sequence[Mapping[str, Any]]) -> str:
    """Return the boxes in words; no damage is written "None"."""
    return "  \n".join(f"{_text(b)}{_became(b)}" for b in boxes) or "None"


def _became(box: Mapping[str, Any]) -> str:
    if "found_by" in box:
        return f" · found by {', '.join(box['found_by']) or 'neither'}"
    finding = f" · {plain(box['finding'])}" if "finding" in box else ""
    return f"{finding} · **differs**" if box.get("is_difference") else finding
