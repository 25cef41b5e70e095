"""The page Errors: what a version takes for what on val, and the photos behind each number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from console import session
from console.components.asking import asking
from console.components.judged_photos import follow_up, pages, side_by_side
from console.components.words import count, figure, plain
from console.pages.models import all_versions, version_name

_CHART, _TRUTH, _SHOWN = "errors-matrix", "errors-truth", "errors-shown"
_ALT = "What people drew and what the model shows, as a heatmap. The table beside it has the same numbers."


def show() -> None:
    """Draw the page."""
    st.title("Errors")
    st.caption(
        "What a model takes for what on the val photos that people have judged. Test photos are left out on purpose: "
        "they gate promotions, and are looked at for nothing else."
    )
    with asking("the versions"):
        versions = all_versions()
        if not versions:
            st.info("There is no model yet: the first training ends with one. Watch it on the page Jobs.")
            return
        names = [item["model_version"] for item in versions]
        champion = next((i for i, item in enumerate(versions) if item["is_champion"]), len(names) - 1)
        chosen = st.selectbox(
            "Version", names, champion, format_func=lambda name: version_name(versions, name), key="errors-version"
        )
    with asking(f"the errors of version {chosen}"):
        with st.spinner("Counting …"):
            report = session.client().get(f"/v1/models/{chosen}/errors")
        _show_counts(report)
        _show_matrix(report)
        _show_kinds(report)
        _show_photos(report)


def _show_counts(report: Mapping[str, Any]) -> None:
    counts, whole = report["counts"], report["kinds"][0]
    shown = {
        "Photos": count(counts["images"]),
        "Damages drawn": count(counts["boxes"]),
        "Found": count(whole["found"]),
        "Missed": count(whole["missed"]),
        "Wrong class": count(whole["wrong_class"]),
        "False alarms": count(whole["false_alarm"]),
    }
    for column, (name, value) in zip(st.columns(len(shown)), shown.items(), strict=True):
        column.metric(name, value)
    thresholds = ", ".join(f"{name} {figure(value, 2)}" for name, value in report["thresholds"].items())
    unseen = f" {count(counts['unseen'], 'judged photo')} were never shown to it." if counts["unseen"] else ""
    st.caption(f"At the working thresholds: {thresholds}; a box counts from IoU 0.5 on.{unseen}")


def _show_matrix(report: Mapping[str, Any]) -> None:
    st.subheader("What it takes for what")
    names, boxes = report["names"], report["boxes"]
    for key in (_TRUTH, _SHOWN):
        # A version with other classes may be chosen after the cell.
        if st.session_state.get(key) not in names:
            st.session_state[key] = names[0] if key == _TRUTH else names[-1]
    chart, table = st.columns([3, 2])
    with chart:
        st.plotly_chart(
            _matrix(names, boxes),
            key=_CHART,
            on_select=_choose_clicked,
            selection_mode="points",
            width="stretch",
            config={"displayModeBar": False},
            alt=_ALT,
        )
    with table:
        st.markdown("**The same as a table** (rows: drawn by people, columns: shown by the model)")
        st.table(pd.DataFrame(boxes, index=names, columns=names))
        st.caption(f"Row {names[-1]}: false alarms. Column {names[-1]}: missed damages.")


def _matrix(names: list[str], boxes: list[list[int]]) -> go.Figure:
    cells = [(truth, shown, boxes[r][c]) for r, truth in enumerate(names) for c, shown in enumerate(names)]
    chart = go.Figure(
        go.Heatmap(
            z=boxes,
            x=names,
            y=names,
            colorscale="Blues",
            showscale=False,
            hoverinfo="skip",
            texttemplate="%{z}",
            textfont={"size": 18},
        )
    )
    chart.add_trace(
        go.Scatter(
            x=[shown for _, shown, _ in cells],
            y=[truth for truth, _, _ in cells],
            text=[str(n) for _, _, n in cells],
            mode="markers",
            marker={"size": 46, "symbol": "square", "opacity": 0.01},
            hovertemplate="drawn %{y}, shown %{x}: %{text}<extra></extra>",
            selected={"marker": {"opacity": 0.25}},
            unselected={"marker": {"opacity": 0.01}},
        )
    )
    chart.update_layout(height=360, margin={"l": 10, "r": 10, "t": 10, "b": 10}, dragmode=False)
    chart.update_xaxes(title="shown by the model")
    chart.update_yaxes(title="drawn by people", autorange="reversed")
    return chart


def _choose_clicked() -> None:
    points = st.session_state[_CHART]["selection"]["points"]
    if points:
        st.session_state[_TRUTH], st.session_state[_SHOWN] = points[0]["y"], points[0]["x"]


def _show_kinds(report: Mapping[str, Any]) -> None:
    with st.expander("Errors by kind of photo"):
        rows = [{plain(name): value for name, value in row.items()} for row in report["kinds"]]
        st.table(pd.DataFrame(rows).set_index("kind"))
        st.caption("A kind that all photos or none are of is left out.")


def _show_photos(report: Mapping[str, Any]) -> None:
    st.subheader("The photos behind a number")
    names, version = report["names"], report["model_version"]
    left, right = st.columns(2)
    truth = left.selectbox("Drawn by people", names, key=_TRUTH)
    shown = right.selectbox("Shown by the model", names, key=_SHOWN)
    row, column = names.index(truth), names.index(shown)
    n_boxes, n_images = report["boxes"][row][column], report["images"][row][column]
    st.markdown(f"{count(n_boxes, 'box', 'boxes')} on {count(n_images, 'photo')}: {_words(truth, shown, names[-1])}.")
    if not n_images:
        st.info("There is no photo with such a box. Click another number, or choose other classes.")
        return
    pages(
        f"/v1/models/{version}/errors/images",
        f"errors-{version}-{truth}-{shown}",
        _show_photo,
        truth=truth,
        predicted=shown,
    )


def _show_photo(item: Mapping[str, Any], key: str) -> None:
    side_by_side(item, [("People", item["truths"]), ("Model", item["detections"])])
    follow_up(item, key)


def _words(truth: str, shown: str, background: str) -> str:
    if truth == shown == background:
        return "nothing was drawn and nothing shown, which is not counted"
    if shown == background:
        return f"{truth} that the model misses"
    if truth == background:
        return f"{shown} shown where people drew nothing"
    return f"{truth} that the model finds" if truth == shown else f"{truth} that the model calls {shown}"
