"""The page Models: champion and challenger side by side, what the gate said, and what a person may do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from console import session
from console.components.asking import asking
from console.components.judged_photos import follow_up, pages, side_by_side
from console.components.model_acts import show_acts, show_progress
from console.components.model_tables import show_differences, show_figures, show_history, show_judgment
from console.components.words import moment

_LIMIT = 500


def show() -> None:
    """Draw the page."""
    st.title("Models")
    with asking("the versions"):
        versions = all_versions()
        if not versions:
            st.info("There is no model yet: the first training ends with one. Watch it on the page Jobs.")
            return
        if not any(item["is_champion"] for item in versions):
            st.warning("There is no champion: nothing answers and pre-labels are empty until a version is promoted.")
        show_progress(versions)
        first, second = _choose(versions)
        show_acts(_named(versions, first), versions)
        _show_tabs(versions, first, second)


def all_versions() -> list[dict[str, Any]]:
    """Return registered versions, oldest first."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = session.client().get("/v1/models/versions", limit=_LIMIT, **({"after": after} if after else {}))
        found += page["items"]
        after = page["next_after"]
        if after is None:
            return found


def version_name(versions: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return a version as people choose it: its number, whether it answers, and when it was made."""
    item = _named(versions, name)
    return f"{name}{' · champion' if item['is_champion'] else ''} · {moment(item['created_at'])}"


def _named(versions: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(item for item in versions if item["model_version"] == name)


def _choose(versions: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """Ask which version, and beside which one: the newest beside the champion, or beside the one before it."""
    names = [item["model_version"] for item in versions]
    left, right = st.columns(2)

    def named(name: str) -> str:
        return version_name(versions, name)

    first: str = left.selectbox("Version", names, len(names) - 1, format_func=named, key="models-version")
    others = [name for name in names if name != first]
    if not others:
        right.info("There is one version, so there is nothing to compare it with yet.")
        return first, None
    champion = next((item["model_version"] for item in versions if item["is_champion"]), None)
    usual = others.index(champion) if champion in others else len(others) - 1
    second: str = right.selectbox("Beside", others, usual, format_func=named, key=f"models-beside-{first}")
    return first, second


def _show_tabs(versions: Sequence[Mapping[str, Any]], first: str, second: str | None) -> None:
    names = ["Side by side", "Photos where they differ", "Gate", "Figures", "History"]
    beside, photos, gate, figures, history = st.tabs(names)
    with asking(f"version {first}"), st.spinner("Comparing …"):
        details = session.client().get(f"/v1/models/{first}")
        compared = session.client().get(f"/v1/models/{first}/compare/{second}") if second else None
        with beside:
            if compared:
                show_differences(compared)
            else:
                show_figures(details)
        with gate:
            _show_gate(details, compared)
        with figures:
            st.caption("On val photos, with intervals from resamples of vehicles.")
            show_figures(details)
            _show_release(details)
    with history:
        show_history(versions)
    with photos:
        _show_photos(first, second)


def _show_gate(details: Mapping[str, Any], compared: Mapping[str, Any] | None) -> None:
    if not details["decisions"]:
        st.info("Nobody has judged this version: the base is champion until something better is proven.")
    for judged in reversed(details["decisions"]):
        show_judgment(judged)
    known = [judged["id"] for judged in details["decisions"]]
    if compared and compared["gate"] and compared["gate"]["id"] not in known:
        st.markdown(f"**What the gate said of version {compared['second']} beside this one**")
        show_judgment(compared["gate"])


def _show_release(details: Mapping[str, Any]) -> None:
    answering = details["release"]["answering"]
    st.markdown("**When it says “None”**")
    if answering["says_none"]:
        st.markdown(f'It says "None" from a probability of {answering["none_probability_min"]:.2f} on.')
    else:
        st.markdown(f'It never says "None": {answering["why_not"]}')
    with st.expander("Model card"):
        st.json(details["release"], expanded=False)


def _show_photos(first: str, second: str | None) -> None:
    if second is None:
        st.info("There is one version, so there is nothing to compare it with yet.")
        return
    st.caption(
        "Val photos on which one version finds a damage that the other misses, or shows something wrong that the other "
        "does not; the greatest difference first. Never test photos: they gate promotions."
    )

    def draw(item: Mapping[str, Any], key: str) -> None:
        sides = [
            ("People", item["truths"]),
            (f"Version {first}", item["first"]),
            (f"Version {second}", item["second"]),
        ]
        side_by_side(item, sides)
        follow_up(item, key)

    with asking("the photos"):
        pages(f"/v1/models/{first}/compare/{second}/images", f"models-{first}-{second}", draw)
