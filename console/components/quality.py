"""The section about people's work: for coaching, by name, never ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from console.components.asking import asking
from console.session import client

Share = Mapping[str, Any]


def show_quality() -> None:
    """Show agreement, known items and what becomes of pre-labels, from the API's figures."""
    st.subheader("Quality of people's work")
    with asking("read the quality of people's work"):
        report = client().get("/v1/quality")
        _show(report)


def _show(report: Mapping[str, Any]) -> None:
    st.caption(f"For coaching, of the newest {report['newest']} annotations at most; 90 % limits. People come by name.")
    people = report["by_annotator"]
    if not people:
        st.info("Nobody has reviewed a photo yet.")
        return
    rows = [
        {
            "Annotator": person["annotator"],
            "Photos": person["photos"],
            "Known items right": _text(person["known"]["verdict_right"]),
            "Same verdict as others": _text(person["agreement"]["same_verdict"]),
            "Pre-labels accepted": _text(person["rates"]["accepted"]),
            "Boxes added": _text(person["rates"]["added"]),
        }
        for person in people
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="quality_people")
    bias = report["automation_bias"]
    st.write(
        f"Answered as the model suggested: {_text(bias['same_shown'])} where its boxes were shown, "
        f"{_text(bias['same_hidden'])} where they were hidden."
    )


def _text(share: Share) -> str:
    if share["value"] is None:
        return f"too few to tell ({share['photos']} photos)"
    return f"{share['value']:.0%} ({share['low']:.0%} to {share['high']:.0%}) of {share['count']}"
