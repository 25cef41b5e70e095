"""Part Label errors: annotations that models contradict which never saw them, side by side with what these see."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console import session
from console.components import image_acts, paging, words
from console.components.confirm import confirm
from console.components.gallery import alt_of, caption_of, drawn_marks, picture, predicted_marks, tiles_of
from console.components.photos import LARGE_PX, Tile, photo

_PAGE = 6
STATES = ("open", "queued", "corrected", "confirmed", "obsolete")


def show() -> None:
    """Draw the part."""
    st.markdown(
        "Models are trained on parts of the newest snapshot and asked about the rest; where they contradict "
        "what people drew, the annotation is listed, the most doubtful first."
    )
    with st.container(horizontal=True):
        if st.button("Search the newest snapshot", key="data-find", icon=":material/search:"):
            _ask_to_search()
        if st.button("Send the most doubtful back", key="data-send", icon=":material/undo:"):
            _ask_to_send()
    after = paging.after_of("data-label-errors", None)
    sent = {} if after is None else {"after": after}
    page = session.client().get("/v1/label-errors", limit=_PAGE, **sent)
    if not page["items"]:
        st.info("No annotation is in doubt. Search the newest snapshot to look again: it takes several trainings.")
        return
    tiles = {item["id"]: item for item in tiles_of([error["image_id"] for error in page["items"]])}
    for error in page["items"]:
        if error["image_id"] in tiles:
            with st.container(border=True):
                _show_one(error, tiles[error["image_id"]])
    paging.buttons("data-label-errors", page["next_after"], len(page["items"]))


def _show_one(error: dict[str, Any], item: dict[str, Any]) -> None:
    st.markdown(f"{caption_of(item)}  \nquality {words.figure(error['quality'])} · {error['state']}")
    left, right = st.columns(2)
    with left:
        st.markdown("As annotated")
        photo(Tile(picture(item, drawn_marks(item), LARGE_PX), alt_of(item)))
    with right:
        if error["detections"] is None:
            st.markdown("What models see of held-out images is shown when somebody has looked again.")
        else:
            st.markdown("As models see it that never saw the annotation")
            marks = predicted_marks({**item, "detections": error["detections"]})
            names = ", ".join(found["damage_class"] for found in error["detections"]) or "nothing"
            photo(Tile(picture(item, marks, LARGE_PX), f"Photo {item['id']}: the models see {names}"))
    if error["reason"]:
        st.markdown(error["reason"])
    if error["state"] == "open":
        send_back = next(act for act in image_acts.ACTS if act.path == "send-back")
        if st.button(f"Send {item['id']} back", key=f"data-error-{error['id']}", icon=send_back.icon):
            image_acts.ask(send_back, [item["id"]], f"data-error-{error['id']}")


def _ask_to_search() -> None:
    confirm(
        "Search for label errors",
        "The newest snapshot is searched: a job that trains several times, and waits behind other trainings.",
        "Search the newest snapshot",
        lambda _: session.client().post("/v1/label-errors/find"),
        reason="none",
        done="The search is queued: the page Jobs shows how far it is.",
        key="data-find",
    )


def _ask_to_send() -> None:
    confirm(
        "Send the most doubtful back",
        "The ten most doubtful open annotations go to annotators again, as tasks that are served first.",
        "Send ten back",
        lambda _: session.client().post("/v1/label-errors/send", {"max": 10}),
        reason="none",
        done="Sent back.",
        key="data-send",
    )
