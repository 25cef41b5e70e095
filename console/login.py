"""The login: an API key with the scope `review`, kept in this session only."""

from __future__ import annotations

import streamlit as st

from console import session
from console.components.asking import sentence
from damageloop_client import DamageloopError, NotAllowedError

SCOPE = "review"


def show_login() -> None:
    """Ask for a key, and say what to do where it does not open the console."""
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        st.title("damageloop")
        st.markdown("Log in with an API key that has the scope `review` or `admin`.")
        with st.form("login", border=True):
            key = st.text_input("API key", type="password", key="api-key", autocomplete="off").strip()
            is_sent = st.form_submit_button("Log in", type="primary")
        if is_sent:
            _try(key)
        with st.expander("I have no key"):
            st.markdown(
                "Whoever runs the platform makes one: `damageloop keys create --scope review`. On your own machine "
                "the file `secrets/admin-api-key` below `DAMAGELOOP_HOME` holds one that may do everything."
            )


def _try(key: str) -> None:
    if not key:
        st.warning("Enter your API key.")
        return
    try:
        session.log_in(key)
    except NotAllowedError as error:
        st.error(f"{error} Check that you pasted the whole key, or ask for a new one.", icon=":material/key_off:")
        return
    except DamageloopError as error:
        st.error(sentence(error), icon=":material/cloud_off:")
        return
    if not session.allows(SCOPE):
        session.log_out()
        st.error(
            "This API key lacks the scope `review`, which the console needs. Ask for one that has it: "
            "`damageloop keys create --scope review`.",
            icon=":material/key_off:",
        )
        return
    st.rerun()
