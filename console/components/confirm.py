"""A dialog before what can't be taken back lightly: what will happen, why, and a button that says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from console.components.asking import doing

_DONE = "_done"


def confirm(
    title: str,
    what_happens: str,
    button: str,
    act: Callable[[str], object],
    *,
    reason: Literal["required", "optional", "none"] = "required",
    done: str = "Done.",
    key: str = "confirm",
) -> None:
    """Open the dialog. Call it where the button that asks for it was pressed.

    Args:
        title: Names the act, such as "Promote version 3".
        what_happens: One to three sentences, Markdown.
        button: What the button says: the act again, never "OK".
        act: Does it, given the reason (empty where none was asked for or given). What the platform refuses is shown
            in the dialog, which stays open.
        reason: Whether the person must say why; it is kept with the act.
        done: Shown on the page once it is done.
        key: Differs between dialogs of one page.
    """

    @st.dialog(title)
    def dialog() -> None:
        st.markdown(what_happens)
        why = ""
        if reason != "none":
            label = "Reason" if reason == "required" else "Reason (may be left empty)"
            why = st.text_input(label, key=f"{key}-reason", max_chars=500).strip()
        if st.button(button, key=f"{key}-act", type="primary"):
            if reason == "required" and not why:
                st.warning("Say why: the reason is kept with it.", icon=":material/edit:")
                return
            with doing(title):
                act(why)
                tell(done)
                st.rerun()
        if st.button("Leave it as it is", key=f"{key}-leave"):
            st.rerun()

    dialog()


def tell(sentence: str) -> None:
    """Keep a sentence for the next run of the page, which shows it at its top."""
    st.session_state[_DONE] = sentence


def show_what_was_done() -> None:
    """Show the sentence once. The shell calls it above each page."""
    if sentence := st.session_state.pop(_DONE, None):
        st.success(sentence, icon=":material/check:")
