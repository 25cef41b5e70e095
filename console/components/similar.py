"""Images and drawn boxes that look like one: a grid, nearest first."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console import session
from console.components import image_acts, words
from console.components.gallery import selectable_grid, tile_of, tiles_of
from console.components.photos import photo

LIKE = "similar-to"
N_SIMILAR = 24


def show_similar(key: str) -> None:
    """Draw what looks like the image of `LIKE`, with a way back."""
    image_id = int(st.session_state[LIKE])
    if st.button("Back to the queue", key=f"{key}-back", icon=":material/west:"):
        del st.session_state[LIKE]
        st.rerun()
    st.header(f"Images like {image_id}")
    like_image(image_id, key)


def like_image(image_id: int, key: str) -> None:
    """Draw an image and those that look most like it."""
    _show_one(image_id)
    with st.spinner("Looking for similar images"):
        found = session.client().get(f"/v1/images/{image_id}/similar", limit=N_SIMILAR)["items"]
    if not found:
        st.info("This image has no embedding yet, or nothing else has: the model makes them when it scores images.")
        return
    _grid(found, key, lambda item: f"similarity {item['similarity']:.3f}")


def like_box(image_id: int, number: int, key: str) -> None:
    """Draw the images whose boxes look most like one box of an image."""
    with st.spinner("Looking for similar boxes"):
        found = session.client().get(f"/v1/images/{image_id}/boxes/{number}/similar", limit=N_SIMILAR)
    if not found:
        st.info("No other drawn box has an embedding yet; the loop makes them after boxes were drawn.")
        return
    # An image may have several boxes that look like it: the nearest stands for it.
    nearest = {item["image_id"]: item for item in reversed(found)}
    ordered = [nearest[i] for i in dict.fromkeys(item["image_id"] for item in found)]
    _grid(ordered, key, lambda item: f"box {item['number']}, {item['damage_class']}, {item['similarity']:.3f}")


def _show_one(image_id: int) -> None:
    items = tiles_of([image_id])
    if not items:
        st.warning(f"There is no image {image_id}.")
        return
    with st.columns(3)[0]:
        photo(tile_of(items[0]))


def _grid(found: list[dict[str, Any]], key: str, describe: Any) -> None:
    described = {item["image_id"]: describe(item) for item in found}
    items = tiles_of(list(described))
    bar = st.container()
    chosen = selectable_grid(items, f"{key}-similar", lambda item: described[item["id"]])
    with bar, st.container(horizontal=True):
        st.markdown(f"**{words.count(len(chosen), 'image')} selected**")
        image_acts.act_buttons(chosen, f"{key}-similar")
        if st.button("Save as subset", key=f"{key}-similar-subset", disabled=not chosen, icon=":material/bookmark:"):
            image_acts.save_subset(chosen, f"{key}-similar")
