"""The page Data: what there is, how it is made up, and what is wrong with it. One part is drawn at a time."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from console.components.asking import asking
from console.pages.data_parts import duplicates, label_errors, look_map, search, snapshots, summary

PARTS: dict[str, Callable[[], None]] = {
    "Overview": summary.show,
    "Snapshots": snapshots.show,
    "Duplicates": duplicates.show_duplicates,
    "Label errors": label_errors.show,
    "Quarantine": duplicates.show_quarantine,
    "Map": look_map.show,
    "Search": search.show_search,
    "Subsets": search.show_subsets,
}


def show() -> None:
    """Draw the page."""
    st.title("Data")
    # Not a segmented control: on a dark ground the words of its chosen segment have too little contrast.
    chosen = st.radio("Part", list(PARTS), horizontal=True, key="data-part")
    with asking(f"the part {chosen}"):
        PARTS[chosen]()
