"""The console for the ML team: a login, a menu of eight pages, and the page that is chosen."""

from __future__ import annotations

import streamlit as st

from console import session
from console.components.confirm import show_what_was_done
from console.login import show_login
from console.menu import PAGES


def main() -> None:
    """Draw the console once, as Streamlit wants it at each turn."""
    st.set_page_config(page_title="damageloop", page_icon=":material/directions_car:", layout="wide")
    # The menu is declared at each turn, so that an address such as /models leads there after the login.
    is_logged_in = session.is_logged_in()
    chosen = st.navigation(
        [
            st.Page(page.show, title=page.title, icon=page.icon, url_path=page.path, default=page.is_first)
            for page in PAGES
        ],
        position="sidebar" if is_logged_in else "hidden",
        expanded=True,
    )
    if not is_logged_in:
        show_login()
        return
    with st.sidebar:
        _say_who()
    show_what_was_done()
    chosen.run()


def _say_who() -> None:
    holder = session.holder()
    st.caption(f"Key **{holder['name']}** · {', '.join(holder['scopes'])}")
    if st.button("Log out", key="log-out", icon=":material/logout:"):
        session.log_out()
        st.rerun()
