"""Part Map: images by how they look; what an outline holds becomes a round or a subset."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from console import session
from console.components import words
from console.components.charts import COLORS
from console.components.confirm import tell
from console.components.gallery import PAGE_SIZE, selectable_grid, tiles_of
from console.components.image_acts import open_round_of, save_subset
from damageloop_client import ConflictError

MAX_POINTS = 10_000
_HEIGHT_PX = 560
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
_STATES = {"labeled": "labeled", "in_round": "in a round", "unlabeled": "not looked at"}


def show() -> None:
    """Draw the part."""
    try:
        with st.spinner("Loading the map"):
            found = session.client().get("/v1/embedding-map", max_points=MAX_POINTS)
    except ConflictError as error:
        st.info(f"{error} The map places images that look alike near each other.")
        _ask_button()
        return
    color_by = st.radio("Color by", ["state", "class", "split"], horizontal=True, key="data-map-color")
    n_shown = len(found["points"])
    part = (
        f"{n_shown:,} of {found['n_points']:,} images, drawn at random" if n_shown < found["n_points"] else "all images"
    )
    st.markdown(
        f"Shown: {part}. Draw a box or a lasso, or give the corners in numbers below. An outline holds all images."
    )
    event = st.plotly_chart(
        _figure(found["points"], color_by or "state"),
        key="data-map",
        on_select="rerun",
        selection_mode=("box", "lasso"),
        alt=f"Map of {n_shown:,} images by how they look. The numbers below choose a part of it without a mouse.",
    )
    outline = _drawn(event) or _entered()
    _ask_button()
    if outline:
        _show_inside(outline)


def _ask_button() -> None:
    if st.button("Make a new map", key="data-map-make", icon=":material/map:"):
        session.client().post("/v1/embedding-map", {})
        tell("The map is being made: the page Jobs shows how far it is.")
        st.rerun()


def _figure(points: list[dict[str, Any]], color_by: str) -> go.Figure:
    parts: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        parts.setdefault(_part(point, color_by), []).append(point)
    traces = [
        go.Scattergl(
            name=f"{name} ({len(part):,})",
            x=[point["x"] for point in part],
            y=[point["y"] for point in part],
            mode="markers",
            text=[str(point["image_id"]) for point in part],
            hovertemplate="image %{text}<extra>%{fullData.name}</extra>",
            marker={"size": 6, "color": COLORS[i % len(COLORS)], "symbol": _SYMBOLS[i % len(_SYMBOLS)]},
        )
        for i, (name, part) in enumerate(sorted(parts.items()))
    ]
    figure = go.Figure(traces)
    figure.update_layout(height=_HEIGHT_PX, dragmode="lasso", margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure


def _part(point: dict[str, Any], color_by: str) -> str:
    if color_by == "split":
        return str(point["split"])
    if color_by == "state":
        return _STATES[point["state"]]
    classes = point["damage_classes"]
    if classes is None:
        return "not looked at"
    return "None" if not classes else classes[0] if len(classes) == 1 else "several classes"


def _drawn(event: Any) -> list[tuple[float, float]] | None:
    """Return the outline that was drawn last, None where none was."""
    selection = event["selection"]
    for shape in selection["lasso"]:
        return list(zip(shape["x"], shape["y"], strict=True))
    for shape in selection["box"]:
        (x_a, x_b), (y_a, y_b) = shape["x"], shape["y"]
        return _rectangle(x_a, x_b, y_a, y_b)
    return None


def _entered() -> list[tuple[float, float]] | None:
    with st.expander("Choose a part in numbers"):
        columns = st.columns(4)
        names = (("From x", -1.0), ("To x", 1.0), ("From y", -1.0), ("To y", 1.0))
        x_a, x_b, y_a, y_b = (
            column.number_input(name, -2.0, 2.0, start, 0.1, key=f"data-map-{name}")
            for column, (name, start) in zip(columns, names, strict=True)
        )
        is_wanted = st.toggle("Choose this part", key="data-map-entered")
    return _rectangle(x_a, x_b, y_a, y_b) if is_wanted else None


def _rectangle(x_a: float, x_b: float, y_a: float, y_b: float) -> list[tuple[float, float]]:
    return [(x_a, y_a), (x_b, y_a), (x_b, y_b), (x_a, y_b)]


def _show_inside(outline: list[tuple[float, float]]) -> None:
    found = session.client().post("/v1/embedding-map/inside", {"outline": outline})
    points = found["points"]
    if not points:
        st.info("No image lies there.")
        return
    waiting = [p["image_id"] for p in points if p["state"] == "unlabeled"]
    st.markdown(
        f"**{words.count(found['n_inside'], 'image')} inside**, {words.count(len(waiting))} of the first "
        f"{words.count(len(points))} not looked at yet"
    )
    with st.container(horizontal=True):
        if st.button(f"Open a round of {len(waiting)}", key="data-map-round", disabled=not waiting):
            open_round_of(waiting, "data-map")
        if st.button(f"Save {len(points)} as subset", key="data-map-subset"):
            save_subset([p["image_id"] for p in points], "data-map")
    selectable_grid(tiles_of([p["image_id"] for p in points[:PAGE_SIZE]]), "data-map-tiles")
