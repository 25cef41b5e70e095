"""Bar charts that are also tables: the same figures, for whoever does not see or trust a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

# Okabe and Ito: color-blind people tell them apart.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_HEIGHT_PX = 300


def bars(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    key: str,
    *,
    x_title: str = "",
    y_title: str = "",
    is_stacked: bool = False,
) -> None:
    """Draw one bar for each label and series, with a table of the same numbers to unfold.

    Args:
        title: Heading and alternative text.
        labels: Along the x axis.
        series: Values by the name of their series, each as long as `labels`.
        key: Differs between charts of one page.
        x_title: Under the x axis; also the name of the table's first column.
        y_title: Beside the y axis.
        is_stacked: Bars of the series upon each other instead of beside.
    """
    st.markdown(f"**{title}**")
    figure = go.Figure(
        [
            go.Bar(name=name, x=list(labels), y=list(values), marker_color=COLORS[place % len(COLORS)])
            for place, (name, values) in enumerate(series.items())
        ]
    )
    figure.update_layout(
        barmode="stack" if is_stacked else "group",
        height=_HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": x_title, "type": "category"},
        yaxis={"title": y_title},
        showlegend=len(series) > 1,
        legend={"orientation": "h", "y": 1.15},
    )
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=f"Bar chart: {title}. The table has it all.")
    with st.expander(f"{title} as a table"):
        st.table(pd.DataFrame({(x_title or "Part"): list(labels), **series}).set_index(x_title or "Part"))


def histogram(
    title: str, found: Mapping[str, Any], key: str, x_title: str, *, is_share: bool = False, y_title: str = "images"
) -> None:
    """Draw a histogram of the API: edges and counts, as they came."""
    edges = found["edges"]
    labels = [_span(low, high, is_share) for low, high in pairwise(edges)]
    bars(title, labels, {y_title: found["counts"]}, key, x_title=x_title, y_title=y_title)


def _span(low: float, high: float, is_share: bool) -> str:
    return f"{100 * low:g}–{100 * high:g} %" if is_share else f"{low:g}–{high:g}"
