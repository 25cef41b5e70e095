"""Open rounds: how far each is, who works on it, how to close it, and how to open another."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console import session
from console.components import words
from console.components.asking import asking, doing
from console.components.confirm import confirm, tell

AS_CONFIGURED = "as configured"
# As `active_learning.registry` names them; a test compares.
STRATEGIES = (
    "coreset",
    "dfl_localization",
    "entropy",
    "flip_consistency",
    "least_confidence",
    "margin",
    "ppal",
    "random",
    "typiclust",
    "uncertainty_herding",
)
KINDS = {"query": "query: what the model learns most from", "audit": "audit: drawn at random to measure models"}


def all_rounds() -> list[dict[str, Any]]:
    """Return all rounds, oldest first; there are few, as each takes hours of work."""
    found: list[dict[str, Any]] = []
    after: int | None = None
    while True:
        sent = {} if after is None else {"after": after}
        page = session.client().get("/v1/rounds", limit=500, **sent)
        found += page["items"]
        after = page["next_after"]
        if after is None:
            return found


def show_rounds(rounds: list[dict[str, Any]]) -> None:
    """Draw the rounds that are not closed, and the button for a new one."""
    heading, button = st.columns([3, 1])
    heading.header("Open rounds")
    if button.button("Open a round", key="queue-open-round", icon=":material/add:", type="primary"):
        _ask_for_round()
    unclosed = [item for item in rounds if item["state"] != "closed"]
    if not unclosed:
        st.info("No round is open. Open one, or wait: the loop opens the next one by itself when it is due.")
    for item in unclosed:
        with st.container(border=True), asking(f"round {item['id']}"):
            _show_round(session.client().get(f"/v1/rounds/{item['id']}"))


def _show_round(found: dict[str, Any]) -> None:
    item, by_state = found["round"], found["by_state"]
    reviewed, withdrawn = by_state.get("reviewed", 0), by_state.get("withdrawn", 0)
    n_items = sum(by_state.values()) - withdrawn
    st.markdown(
        f"**Round {item['id']}** · {item['kind']} · {words.plain(item['strategy'])} · {item['state']} · "
        f"opened {words.moment(item['opened_at'])}"
    )
    left = words.duration(found["expected_seconds_left"])
    st.progress(
        reviewed / n_items if n_items else 0.0,
        text=f"{reviewed} of {words.count(n_items, 'image')} reviewed · about {left} of work left",
    )
    if item["note"]:
        st.markdown(item["note"])
    _annotators(found["annotators"])
    if st.button(f"Close round {item['id']}", key=f"queue-close-{item['id']}", icon=":material/done_all:"):
        confirm(
            f"Close round {item['id']}",
            f"{words.count(n_items - reviewed, 'image')} that nobody has reviewed are withdrawn and ranked anew for "
            "the next round. Drafts stay with who made them.",
            f"Close round {item['id']}",
            lambda _: session.client().post(f"/v1/rounds/{item['id']}/close"),
            reason="none",
            done=f"Round {item['id']} is being closed: the page Jobs shows it.",
            key=f"queue-close-{item['id']}",
        )


def _annotators(annotators: list[dict[str, Any]]) -> None:
    if not annotators:
        st.markdown("Nobody has submitted an image of it yet.")
        return
    rows = [
        {
            "Annotator": who["annotator"],
            "Reviewed": who["reviewed"],
            "Median time": words.duration(who["median_seconds"]),
        }
        for who in annotators
    ]
    st.table(pd.DataFrame(rows).set_index("Annotator"))


@st.dialog("Open a round")
def _ask_for_round() -> None:
    st.markdown("Annotators get its images beside those of the rounds that are open.")
    kind = st.selectbox("Kind", list(KINDS), format_func=lambda name: KINDS[name], key="queue-new-kind")
    strategy = st.selectbox("Strategy", [AS_CONFIGURED, *STRATEGIES], key="queue-new-strategy")
    size = st.number_input("Images (0: as configured)", 0, 5000, 0, key="queue-new-size")
    subset = st.selectbox(
        "Only images of this subset",
        [None, *_subsets()],
        format_func=lambda item: item["name"] if item else "all images",
        key="queue-new-subset",
    )
    if st.button("Open the round", key="queue-new-open", type="primary"):
        wanted: dict[str, Any] = {"kind": kind}
        if strategy != AS_CONFIGURED:
            wanted["strategy"] = strategy
        if size:
            wanted["query_size"] = int(size)
        if subset:
            wanted["subset_id"] = subset["id"]
        with doing("the opening of a round"):
            session.client().post("/v1/rounds", wanted)
            tell("The round is being opened: the page Jobs shows how far it is.")
            st.rerun()


def _subsets() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    with asking("the subsets"):
        items += session.client().get("/v1/subsets", limit=500)["items"]
    return items
