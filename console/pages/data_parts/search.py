"""Parts Search and Subsets: what looks like an image or a drawn box, and saved filters."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console import session
from console.components import words
from console.components.asking import doing
from console.components.confirm import confirm, tell
from console.components.gallery import tiles_of
from console.components.gallery_filters import controls, saved_part
from console.components.image_acts import save_filter
from console.components.similar import like_box, like_image

_WHOLE = "the whole image"


def show_search() -> None:
    """Draw the search by an image or by a box that was drawn on it."""
    image_id = int(st.number_input("Number of an image", 1, 2**31 - 1, value=None, step=1, key="data-search") or 0)
    if not image_id:
        st.info("Enter the number of an image, as tiles and maps show it: what looks like it is then shown here.")
        return
    items = tiles_of([image_id])
    if not items:
        st.warning(f"There is no image {image_id}.")
        return
    drawn = (items[0]["annotation"] or {}).get("boxes", [])
    parts = [_WHOLE, *(f"box {place}: {box['damage_class']}" for place, box in enumerate(drawn))]
    chosen = st.radio("Look for what resembles", parts, key="data-search-part", horizontal=True)
    if chosen == _WHOLE:
        like_image(image_id, "data-search")
    else:
        like_box(image_id, parts.index(chosen) - 1, "data-search")


def show_subsets() -> None:
    """Draw saved subsets with what can be done with each, and the filters that make one."""
    found = session.client().get("/v1/subsets", limit=200)["items"]
    if not found:
        st.info("No subset is saved yet. Set filters below and save them under a name, or select images on any grid.")
    for item in found:
        with st.container(border=True):
            _show_one(item)
    st.header("New subset by filters")
    filters = saved_part(controls("data-subset"))
    n_found = session.client().get("/v1/images/count", **{k: _sent(v) for k, v in filters.items()})
    more = "more than " if n_found["is_more"] else ""
    st.markdown(f"{more}{words.count(n_found['count'], 'image')} meet these filters now.")
    if st.button("Save as subset", key="data-subset-save", icon=":material/bookmark:", type="primary"):
        save_filter(filters, "data-subset")


def _sent(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _show_one(item: dict[str, Any]) -> None:
    st.markdown(
        f"**{item['name']}** · {words.count(item['n_images'], 'image')} · {item['created_by']}, "
        f"{words.moment(item['updated_at'])}"
    )
    query = {name: value for name, value in (item.get("query") or {}).items() if value is not None}
    if query:
        st.table(
            pd.DataFrame([{"filter": words.plain(k), "value": str(v)} for k, v in query.items()]).set_index("filter")
        )
    with st.container(horizontal=True):
        if query and st.button("Renew", key=f"data-renew-{item['id']}", icon=":material/refresh:"):
            with doing("the renewal"):
                session.client().post(f"/v1/subsets/{item['id']}/renew")
                tell(f"{item['name']} holds what meets its filter now.")
                st.rerun()
        if st.button("Open a round of it", key=f"data-round-{item['id']}", icon=":material/add:"):
            _ask_for_round(item)
        if st.button("Delete", key=f"data-delete-{item['id']}", icon=":material/delete:"):
            _ask_to_delete(item)
    with st.expander(f"Use {item['name']} on the command line"):
        name = item["name"].replace('"', "")
        st.code(
            f'damageloop export --subset "{name}" --help\ndamageloop evaluate --subset "{name}" --help', language="bash"
        )


def _ask_for_round(item: dict[str, Any]) -> None:
    confirm(
        f"Open a round of {item['name']}",
        "The strategy of the parameters chooses among the images of this subset.",
        "Open the round",
        lambda _: session.client().post("/v1/rounds", {"subset_id": item["id"]}),
        reason="none",
        done="The round is being opened: the page Jobs shows how far it is.",
        key=f"data-round-{item['id']}",
    )


def _ask_to_delete(item: dict[str, Any]) -> None:
    confirm(
        f"Delete {item['name']}",
        "The name and the choice are forgotten; the images stay.",
        f"Delete {item['name']}",
        lambda _: session.client().delete(f"/v1/subsets/{item['id']}"),
        reason="none",
        done=f"{item['name']} is deleted.",
        key=f"data-delete-{item['id']}",
    )
