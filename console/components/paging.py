"""Pages of a list that has no total: forward from where the last page ended, and back the way one came."""

from __future__ import annotations

from typing import Any

import streamlit as st


def after_of(key: str, filters: Any) -> Any | None:
    """Return what to send as `after`; other filters than before begin at the first page again."""
    state = st.session_state.get(_name(key))
    if state is None or state["filters"] != filters:
        state = {"filters": filters, "trail": [None]}
        st.session_state[_name(key)] = state
    return state["trail"][-1]


def buttons(key: str, next_after: Any | None, n_shown: int) -> None:
    """Draw "previous" and "next" below a page, with which page it is."""
    trail: list[Any] = st.session_state[_name(key)]["trail"]
    if len(trail) == 1 and next_after is None:
        return
    back, where, forth = st.columns([1, 2, 1])
    back.button(
        "Previous page", key=f"{key}-previous", disabled=len(trail) == 1, on_click=trail.pop, icon=":material/west:"
    )
    where.markdown(f"Page {len(trail)}, {n_shown} shown")
    forth.button(
        "Next page",
        key=f"{key}-next",
        disabled=next_after is None,
        on_click=trail.append,
        args=(next_after,),
        icon=":material/east:",
    )


def _name(key: str) -> str:
    return f"{key}-pages"
