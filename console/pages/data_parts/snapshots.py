"""Part Snapshots: the versions of the annotated data, and what differs between two."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console import session
from console.components import words


def show() -> None:
    """Draw the part."""
    found = _all()
    if not found:
        st.info(
            "There is no snapshot yet. The loop makes one when enough was annotated: `damageloop status` says how far."
        )
        return
    rows = [
        {
            "Snapshot": item["git_tag"],
            "Made": words.moment(item["created_at"]),
            "Images": sum(part["images"] for part in item["counts"].values()),
            "Without damage": sum(part["clean"] for part in item["counts"].values()),
            "Boxes": sum(sum(part["boxes"].values()) for part in item["counts"].values()),
            "Findings": _n_findings(item["report"]),
        }
        for item in reversed(found)
    ]
    st.table(pd.DataFrame(rows).set_index("Snapshot"))
    if len(found) < 2:
        st.info("With a second snapshot, what differs between two is shown here.")
        return
    _diff([item["git_tag"] for item in found])


def _all() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.client().get("/v1/snapshots", limit=500)["items"]
    return found


def _n_findings(report: dict[str, Any] | None) -> str:
    return words.NOT_KNOWN if report is None else str(len(report.get("errors", [])) + len(report.get("warnings", [])))


def _diff(tags: list[str]) -> None:
    st.header("What differs")
    left, right = st.columns(2)
    before = left.selectbox("Before", tags, index=len(tags) - 2, key="data-before")
    after = right.selectbox("After", tags, index=len(tags) - 1, key="data-after")
    with st.spinner("Comparing"):
        found = session.client().get(f"/v1/snapshots/{before}/diff/{after}", limit=100)
    if not found["n_changes"]:
        st.info("The two hold the same.")
        return
    for name in ("images", "boxes", "relabeled"):
        st.markdown(f"**{name.capitalize()}**: {_counted(found[name])}")
    if found["by_class"]:
        st.table(pd.DataFrame.from_dict(found["by_class"], orient="index").fillna(0).astype(int).rename_axis("class"))
    st.markdown(f"**{words.count(found['n_changes'], 'image')} differ**, the first {len(found['changes'])}:")
    st.code("\n".join(_line(change) for change in found["changes"]), language=None, height=320)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{words.plain(name)} {n}" for name, n in counts.items()) or "nothing"


def _line(change: dict[str, Any]) -> str:
    return "  ".join(f"{name}: {value}" for name, value in change.items() if value not in (None, [], {}))
