"""Parts Duplicates and Quarantine: photos that belong together, and files that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from console import session
from console.components import paging, words
from console.components.charts import bars
from console.components.gallery import selectable_grid, tiles_of

_GROUPS, _FILES = 5, 50


def show_duplicates() -> None:
    """Draw groups of near-duplicates."""
    st.markdown(
        "Photos that look the same, of cars that have different names. Each group lies in one split and counts once "
        "in a round. What is marked *left out* was in a lower split than its near-duplicates: no snapshot takes it."
    )
    after = paging.after_of("data-duplicates", None)
    sent = {} if after is None else {"after": after}
    page = session.client().get("/v1/duplicates", limit=_GROUPS, **sent)
    if not page["items"]:
        st.info("No near-duplicates of different cars were found. They are looked for whenever images were scored.")
        return
    for place, group in enumerate(page["items"]):
        left_out = f", {group['n_excluded']} left out" if group["n_excluded"] else ""
        st.markdown(f"**{group['name']}** · {words.count(group['n_images'], 'image')}{left_out}")
        status = {image["id"]: image["status"] for image in group["images"]}
        items = tiles_of([image["id"] for image in group["images"][:4]])
        marks = {i: "left out" if s == "excluded_leak" else "" for i, s in status.items()}
        selectable_grid(items, f"data-duplicates-{place}", partial(_mark_of, marks))
    paging.buttons("data-duplicates", page["next_after"], len(page["items"]))


def show_quarantine() -> None:
    """Draw what was refused at import, by code and one by one."""
    counts = session.client().get("/v1/data/summary")["quarantined"]
    if not counts:
        st.info("No file was refused. What an import can't take is listed here with the reason.")
        return
    names = [words.plain(code) for code in counts]
    bars("Refused files by reason", names, {"files": list(counts.values())}, "data-quarantine-counts", x_title="reason")
    code = st.selectbox(
        "Only files refused for",
        [None, *counts],
        format_func=lambda c: words.plain(c) if c else "any reason",
        key="code",
    )
    after = paging.after_of("data-quarantine", code)
    sent = {name: value for name, value in (("after", after), ("code", code)) if value is not None}
    page = session.client().get("/v1/quarantine", limit=_FILES, **sent)
    rows = [{"File": item["file"], "Why": item["reason"], "Code": item["code"]} for item in page["items"]]
    st.table(pd.DataFrame(rows).set_index("File"))
    paging.buttons("data-quarantine", page["next_after"], len(rows))


def _mark_of(marks: Mapping[int, str], item: Mapping[str, Any]) -> str:
    return marks.get(item["id"], "")
