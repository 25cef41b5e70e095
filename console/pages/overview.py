"""The page Overview: is the loop turning, what does it wait for, does labeling still pay."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from console import session
from console.components import words
from console.components.asking import asking
from console.components.quality import show_quality

_HOUR_S = 3600.0
_MEASURED, _FORECAST = "#0072B2", "#D55E00"


def show() -> None:
    """Draw the page."""
    st.title("Overview")
    _state()
    with asking("the figures"), st.spinner("Working out the figures …"):
        _figures(session.client().get("/v1/kpis"))
    with asking("the learning curve"), st.spinner("Fitting the learning curve …"):
        _curve(session.client().get("/v1/learning-curve"), session.client().get("/v1/stopping"))
    show_quality()


@st.fragment(run_every=10)
def _state() -> None:
    with asking("the state of the loop"):
        found = session.client().get("/v1/status")
        if found["is_turning"]:
            st.success(f"The loop is turning; it looked {words.ago(found['turned_at'])}.", icon=":material/autorenew:")
        else:
            _stands_still(found["turned_at"])
        _waiting(found)
        _counts(found)


def _stands_still(turned_at: str | None) -> None:
    since = f"since {words.moment(turned_at)}" if turned_at else "yet: no worker has looked what is due"
    st.warning(
        f"The loop has not turned {since}. `damageloop up` starts the workers; `damageloop doctor` says what is wrong.",
        icon=":material/pause_circle:",
    )


def _waiting(found: dict[str, Any]) -> None:
    st.subheader("What it waits for")
    if not found["waiting_for"]:
        st.markdown("Nothing." if found["turned_at"] else "Nobody knows before the first turn.")
    for line in found["waiting_for"]:
        st.markdown(f"- {line}")


def _counts(found: dict[str, Any]) -> None:
    champion = found["champion"]
    columns = st.columns(4)
    columns[0].metric("Champion", f"version {champion['version']}" if champion else "None yet")
    columns[1].metric("Open rounds", len(found["open_rounds"]))
    columns[2].metric("Jobs running", found["running_jobs"])
    columns[3].metric("Jobs waiting", found["queued_jobs"])
    if found["counts"]:
        st.caption(" · ".join(f"{words.count(number)} {name}" for name, number in found["counts"].items()))


def _figures(kpis: dict[str, Any]) -> None:
    st.subheader("Figures")
    seconds, pool = kpis["seconds_per_image"], kpis["champion"]
    saved = seconds["saved"]
    first, second, third, fourth = st.columns(4)
    first.metric("Labeled images", f"{kpis['labeled']:,} of {kpis['images']:,}", help="With a verdict that counts.")
    second.metric(
        "Seconds saved per photo",
        words.figure(saved["expected"] if saved else None, 1),
        help="By pre-labels, on the same photos by the fitted times; below 0 where they cost time.",
    )
    third.metric("Hours of review", words.figure(kpis["review_hours"], 1), help="Logged by the labeling page.")
    fourth.metric(
        "Recall of the champion",
        words.figure(pool["recall"]["value"]),
        help="Share of damages on audited photos that it finds at its working thresholds, at IoU 0.5.",
    )
    if saved:
        st.caption(f"Seconds saved per photo, 90 % interval: {words.figure(saved['low'], 1)} to "
                   f"{words.figure(saved['high'], 1)}.")  # fmt: skip
    _table(kpis)
    st.caption(f"Worked out at {words.moment(kpis['as_of'])}.")


def _table(kpis: dict[str, Any]) -> None:
    rows = [
        ("Damaged photos", kpis["damaged_share"], "Share of the pool with a damage, from randomly drawn photos."),
        ("Recall", kpis["champion"]["recall"], "Share of damages that the champion finds, on audited photos."),
        ("Precision", kpis["champion"]["precision"], "Share of the champion's boxes that are damages, likewise."),
        *(
            (f"Pre-labels {name}", kpis["pre_labels"][name], _PRE_LABELS[name])
            for name in ("accepted", "edited", "rejected", "missed")
        ),
    ]
    st.dataframe(
        [
            {
                "Figure": name,
                "Value (90 % interval)": words.with_interval(item["value"], (item["low"], item["high"])),
                "Photos": item["n"],
                "What it means": meaning,
            }
            for name, item, meaning in rows
        ],
        hide_index=True,
        alt="Figures with their intervals, the number of photos behind them, and their definitions.",
    )
    if kpis["minutes_saved"]:
        st.markdown("**Minutes that pre-labels saved, by round**")
        st.dataframe(
            [
                {
                    "Round": item["name"],
                    "Minutes (90 % interval)": words.with_interval(item["minutes"], (item["low"], item["high"]), 1),
                    "Photos": item["n"],
                }
                for item in kpis["minutes_saved"]
            ],
            hide_index=True,
            alt="Minutes that pre-labels saved in each round, by the fitted times.",
        )


_PRE_LABELS = {
    "accepted": "Share of pre-labelled boxes that people left as they were.",
    "edited": "Share that people moved or renamed.",
    "rejected": "Share that people deleted.",
    "missed": "Share of damages that had no pre-label.",
}


def _curve(curve: dict[str, Any], stopping: dict[str, Any]) -> None:
    st.subheader("Does labeling still pay?")
    st.markdown(f"**{stopping['sentence']}**")
    for reason in stopping["reasons"]:
        st.markdown(f"- {reason}")
    if not curve["points"]:
        st.info("There is no learning curve yet: it begins with the first model that was trained on reviews.")
        return
    words = f"Learning curve. {curve['sentence']}"
    st.plotly_chart(_drawn(curve), key="learning-curve", config={"displayModeBar": False}, alt=words)
    st.caption(f"{curve['sentence']} {curve['definition']}")


def _drawn(curve: dict[str, Any]) -> go.Figure:
    points, ahead = curve["points"], curve["forecast"]
    figure = go.Figure()
    figure.add_scatter(
        x=[point["review_seconds"] / _HOUR_S for point in points],
        y=[point["map50"] for point in points],
        error_y={"array": [point["deviation"] for point in points]},
        mode="markers+lines",
        name="measured, ± one standard deviation",
        line={"color": _MEASURED},
    )
    if ahead:
        hours = [point["review_seconds"] / _HOUR_S for point in ahead]
        edges = {"mode": "lines", "line": {"width": 0, "color": _FORECAST}, "showlegend": False, "hoverinfo": "skip"}
        figure.add_scatter(x=hours, y=[point["high"] for point in ahead], **edges)
        figure.add_scatter(x=hours, y=[point["low"] for point in ahead], fill="tonexty", **edges)
        figure.add_scatter(
            x=hours,
            y=[point["expected"] for point in ahead],
            mode="lines",
            name="forecast with its 80 % range",
            line={"color": _FORECAST, "dash": "dash"},
        )
    figure.update_layout(xaxis_title="hours of review", yaxis_title="mAP50", height=360, margin={"t": 16})
    return figure
