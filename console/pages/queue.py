"""The page Queue: what annotators get next and why, and what the team wants changed about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from console import session
from console.components import image_acts, paging, words
from console.components.asking import asking
from console.components.gallery import PAGE_SIZE, selectable_grid
from console.components.gallery_filters import controls, saved_part
from console.components.similar import LIKE, show_similar
from console.pages.queue_parts.rounds import all_rounds, show_rounds

KEY = "queue"


def show() -> None:
    """Draw the page."""
    st.title("Queue")
    if LIKE in st.session_state:
        with asking("similar images"):
            show_similar(KEY)
        return
    with asking("the rounds"):
        rounds = all_rounds()
        show_rounds(rounds)
        st.header("Images")
        _show_images(rounds)


def _show_images(rounds: list[dict[str, Any]]) -> None:
    round_ids = [item["id"] for item in reversed(rounds)]
    opened = next((item["id"] for item in reversed(rounds) if item["state"] != "closed"), None)
    filters = controls(KEY, round_ids, opened)
    after = paging.after_of(KEY, filters)
    sent = {} if after is None else {"after": after}
    with st.spinner("Loading images"):
        page = session.client().get("/v1/images", limit=PAGE_SIZE, **filters, **sent)
    items = page["items"]
    if not items:
        _say_nothing_found(rounds)
        return
    bar = st.container()
    chosen = selectable_grid(items, KEY, why_of, _below)
    with bar:
        selection_bar(chosen, KEY, saved_part(filters))
    paging.buttons(KEY, page["next_after"], len(items))


def _say_nothing_found(rounds: list[dict[str, Any]]) -> None:
    if rounds:
        st.info("No image meets these filters. Set one of them to “any”.")
    else:
        st.info("There is no round yet. Import photos with `damageloop import`, then open a round here.")


def selection_bar(chosen: list[int], key: str, filters: dict[str, Any] | None) -> None:
    """Draw what can be done with the selected images together, and with the filter."""
    with st.container(horizontal=True):
        st.markdown(f"**{words.count(len(chosen), 'image')} selected**")
        image_acts.act_buttons(chosen, f"{key}-bulk")
        if st.button("Open a round of these", key=f"{key}-bulk-round", disabled=not chosen, icon=":material/add:"):
            image_acts.open_round_of(chosen, key)
        if st.button("Save as subset", key=f"{key}-bulk-subset", disabled=not chosen, icon=":material/bookmark:"):
            image_acts.save_subset(chosen, key)
        if filters and st.button("Save this filter", key=f"{key}-filter", icon=":material/filter_alt:"):
            image_acts.save_filter(filters, f"{key}-filter")


def why_of(item: Mapping[str, Any]) -> str:
    """Return why a round took an image, and where it stands there."""
    place = item["round_item"]
    if place is None:
        return "In no round yet"
    seconds = "" if place["expected_seconds"] is None else f" · about {words.duration(place['expected_seconds'])}"
    return f"{place['share']}, rank {place['rank']}, {place['state']}{seconds}  \n*{place['reason']}*"


def _below(item: Mapping[str, Any]) -> None:
    image_id = int(item["id"])
    with st.popover(f"Actions for {image_id}", icon=":material/more_horiz:"):
        image_acts.act_buttons([image_id], f"{KEY}-{image_id}", item["annotation"] is not None)
        if st.button("More like this", key=f"{KEY}-{image_id}-like", icon=":material/image_search:"):
            st.session_state[LIKE] = image_id
            st.rerun()
        if item["label_studio_url"]:
            st.link_button(f"Open {image_id} in Label Studio", item["label_studio_url"], icon=":material/open_in_new:")
