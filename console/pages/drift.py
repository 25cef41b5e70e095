"""The page Drift: are photos still what they were, what changed, which photos show it, and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from console import session
from console.components import words
from console.components.asking import asking
from console.components.charts import COLORS
from console.components.gallery import COLUMNS, tile_of, tiles_of
from console.components.photos import grid

_N_REPORTS = 100
_N_PHOTOS = 12
_STATES = {
    "too_few": ("Too few photos to say anything", "info"),
    "acceptable": ("Like the reference", "success"),
    "beyond": ("Beyond the thresholds", "warning"),
}
_STEPS = {
    "training": "Training for the light",
    "photos": "Photos for annotators",
    "round": "Their round",
    "labels": "Training on the labels",
    "promotion": "Promotion",
    "measured_again": "Measured again",
}
# In the timeline: what people recognise in a photo.
_DRAWN = ("brightness", "contrast", "sharpness", "noise", "top_score")


def show() -> None:
    """Draw the page."""
    st.title("Drift")
    with asking("where drift stands"):
        found = session.client().get("/v1/drift")
        _state(found)
        _look_now(found)
        if found["event"]:
            _event(found["event"], is_open=True)
        if found["report"]:
            _report(found["report"])
    with asking("earlier looks"):
        reports = session.client().get("/v1/drift/reports", limit=_N_REPORTS)["items"]
        _timeline(reports)
        _earlier(session.client().get("/v1/drift/events", limit=20)["items"], found["event"])


def _state(found: Mapping[str, Any]) -> None:
    if found["champion"] is None:
        st.info("No model serves yet, so there is nothing to watch.")
        return
    every = f"every {found['every_minutes']:g} minutes" if found["is_enabled"] else "only on request"
    st.markdown(
        f"Version {found['champion']} has answered {words.count(found['n_served'], 'photo')}. A worker looks {every}. "
        f"Photos are compared with {_reference(found['reference'])}."
    )
    report = found["report"]
    if report is None:
        st.info("Nobody has looked yet.")
        return
    title, kind = _STATES[report["state"]]
    text = f"**{title}**, {words.ago(report['created_at'])}. " + " ".join(_sentence(line) for line in report["words"])
    getattr(st, kind)(text)


def _reference(reference: Mapping[str, Any]) -> str:
    if reference["kind"] == "served":
        confirmed = f"{reference['confirmed_by']} confirmed them on {words.moment(reference['confirmed_at'])}"
        return f"the first {reference['n_images']} photos that it answered ({confirmed})"
    return "random photos that it never learned from"


def _look_now(found: Mapping[str, Any]) -> None:
    if found["champion"] is None:
        return
    if st.button("Look now", help="A job; its report appears here."):
        job = session.client().post("/v1/drift/check")
        st.success(f"The look is queued as job {job['id']}; its report appears here in a moment.")


def _event(event: Mapping[str, Any], *, is_open: bool) -> None:
    if is_open:
        st.subheader(f"Event {event['id']}, open since {words.moment(event['opened_at'])}")
    st.markdown(event["reason"])
    if event["outcome"]:
        st.markdown(f"**{event['outcome']}**")
    steps = {step["name"]: step for step in event["steps"]}
    rows = [
        {
            "Step": name,
            "Done": words.moment(steps[key]["at"]) if key in steps else words.NOT_KNOWN,
            "What was done": steps[key]["words"] if key in steps else "",
        }
        for key, name in _STEPS.items()
    ]
    # A table, not a data frame: sentences are broken into lines instead of cut off.
    st.table(pd.DataFrame(rows).set_index("Step"))
    photos = steps.get("photos", {}).get("detail", {}).get("image_ids", [])
    if photos:
        st.markdown(f"**Photos behind it**, {min(len(photos), _N_PHOTOS)} of {len(photos)}")
        grid([tile_of(item) for item in tiles_of(photos[:_N_PHOTOS])], COLUMNS)


def _report(report: Mapping[str, Any]) -> None:
    st.subheader(f"Report {report['id']}")
    look = report["look"]
    st.caption(
        f"{words.count(look['n_window'], 'photo')} of {words.count(look['n_requests'], 'request')}, answered "
        f"{words.moment(look['first_at'])} to {words.moment(look['last_at'])}, beside {look['n_reference']} of the "
        f"reference. Asked by {report['asked_by']}."
    )
    if report["columns"]:
        ordered = sorted(report["columns"], key=lambda column: (not column["is_beyond"], column["p_adjusted"]))
        rows = [
            {
                "Column": column["column"],
                "Effect": f"{column['effect']:.2f}",
                "Probability, corrected": f"{column['p_adjusted']:.2g}",
                "Beyond": "yes" if column["is_beyond"] else "",
                "In words": _sentence(column["words"]),
            }
            for column in ordered
        ]
        st.table(pd.DataFrame(rows).set_index("Column"))
        st.caption(
            "Effect: standard deviations of the reference; of outcomes the distance of Jensen and Shannon; of the "
            "embedding the area under the curve of what tells new photos from old ones, 0.5 where nothing does."
        )
    _performance(report["performance"])


def _performance(found: Mapping[str, Any]) -> None:
    if "expected" not in found:
        return
    expected, real = found["expected"], found["real"]
    st.markdown("**Expected without labels, and real**")
    rows = [
        ("Precision of shown boxes", expected["precision"], expected["shown_boxes"], real["precision"], "shown_boxes"),
        ("Recall", None, None, real["recall"], "true_boxes"),
        (
            'Share of wrong "None"',
            expected["wrong_none_share"],
            expected["none_answers"],
            real["wrong_none_share"],
            "none_answers",
        ),
    ]
    st.dataframe(
        [
            {
                "Figure": name,
                "Expected": words.share(value, 1),
                "Of": words.count(n),
                "Real": words.share(truth, 1),
                "Of labeled": words.count(real[counted]),
            }
            for name, value, n, truth, counted in rows
        ],
        hide_index=True,
        alt="Expected figures from calibrated confidences beside real ones of labeled production photos.",
    )
    st.caption(
        f"Expected: from calibrated confidences of the window; under drift they lean to the good side. Real: of "
        f"{words.count(real['photos'], 'labeled production photo')} of val and test."
    )
    if found["feedback"]:
        told = ", ".join(f"{words.count(n)} {words.plain(kind)}" for kind, n in found["feedback"].items())
        st.caption(f"Remarks of pricing services about this version: {told}.")


def _timeline(reports: Sequence[Mapping[str, Any]]) -> None:
    judged = [report for report in reversed(reports) if report["columns"]]
    if not judged:
        return
    st.subheader("Timeline")
    figure = go.Figure()
    for place, name in enumerate(_DRAWN):
        points = [(r["created_at"], c["effect"]) for r in judged for c in r["columns"] if c["column"] == name]
        if points:
            figure.add_scatter(
                x=[at for at, _ in points],
                y=[effect for _, effect in points],
                mode="lines+markers",
                name=words.plain(name),
                line={"color": COLORS[place % len(COLORS)]},
            )
    figure.update_layout(xaxis_title="UTC", yaxis_title="standard deviations", height=320, margin={"t": 16})
    text = "Line chart: how far columns of served photos were from the reference at each look. The table has it all."
    st.plotly_chart(figure, key="drift-timeline", config={"displayModeBar": False}, alt=text)
    st.dataframe(
        [
            {
                "Report": report["id"],
                "At": words.moment(report["created_at"]),
                "Version": report["model_version"],
                "State": _STATES[report["state"]][0],
                "Event": report["event_id"],
                "In words": " ".join(_sentence(line) for line in report["words"]),
            }
            for report in reports
        ],
        hide_index=True,
        alt="All looks, newest first, with what was found.",
    )


def _earlier(events: Sequence[Mapping[str, Any]], now: Mapping[str, Any] | None) -> None:
    ended = [event for event in events if now is None or event["id"] != now["id"]]
    if ended:
        st.subheader("Earlier events")
    for event in ended:
        with st.expander(f"Event {event['id']}, {words.moment(event['opened_at'])}: {event['reason']}"):
            _event(event, is_open=False)


def _sentence(text: str) -> str:
    return text if not text else f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', ')')) else '.'}"
