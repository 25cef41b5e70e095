"""The filters of the gallery as controls; what they say is what the API and saved subsets take."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.components.gallery import class_names

ANY = "any"
# Parts of a search that a saved subset does not keep.
NOT_SAVED = frozenset({"order", "status", "item_state", "subset_id"})
SHARES = ("chosen", "explored", "audited", "priority")
ITEM_STATES = ("pending", "sent", "reviewed", "withdrawn")
ORDERS = {
    "newest": "newest first",
    "rank": "as annotators of the round get them",
    "uncertain": "least certain first",
    "score": "highest score first",
    "brightness": "darkest first",
}


def controls(key: str, round_ids: list[int] | None = None, default_round: int | None = None) -> dict[str, Any]:
    """Draw the filters and return those that are set, as parameters of `GET /v1/images`."""
    first = list(st.columns(4 if round_ids is None else 5))
    found: dict[str, Any] = {}
    if round_ids is not None:
        start = round_ids.index(default_round) + 1 if default_round in round_ids else 0
        found["round_id"] = _choice(first.pop(0), "Round", [str(i) for i in round_ids], f"{key}-round", start)
    labeled, drawn, predicted, order = first
    found["is_labeled"] = _choice(labeled, "Annotated", ["true", "false"], f"{key}-labeled")
    found["damage_class"] = _choice(drawn, "Drawn class", class_names(), f"{key}-drawn")
    found["predicted_class"] = _choice(predicted, "Predicted class", class_names(), f"{key}-predicted")
    # Of a round, the order in which annotators get it comes first.
    orders = (
        ["rank", *(o for o in ORDERS if o != "rank")] if found.get("round_id") else [o for o in ORDERS if o != "rank"]
    )
    found["order"] = order.selectbox("Order", orders, format_func=ORDERS.__getitem__, key=f"{key}-order")
    with st.expander("More filters"):
        found |= _more(key)
    return {name: value for name, value in found.items() if value is not None}


def saved_part(filters: dict[str, Any]) -> dict[str, Any]:
    """Return the filters that a saved subset keeps."""
    kept = {name: value for name, value in filters.items() if name not in NOT_SAVED}
    if "round_id" in kept:
        kept["round_id"] = int(kept["round_id"])
    if "is_labeled" in kept:
        kept["is_labeled"] = kept["is_labeled"] == "true"
    return kept


def _more(key: str) -> dict[str, Any]:
    first, second = st.columns(4), st.columns(2)
    found: dict[str, Any] = {
        "vehicle": first[0].text_input("Vehicle", key=f"{key}-vehicle", max_chars=255).strip() or None,
        "share": _choice(first[1], "Share of the round", list(SHARES), f"{key}-share"),
        "item_state": _choice(first[2], "State in the round", list(ITEM_STATES), f"{key}-state"),
        "split": _choice(first[3], "Split", ["train", "val", "test"], f"{key}-split"),
    }
    low, high = second[0].slider("Highest score of the champion", 0.0, 1.0, (0.0, 1.0), key=f"{key}-score")
    found |= {"min_score": low if low > 0 else None, "max_score": high if high < 1 else None}
    dark, light = second[1].slider("Brightness", 0, 255, (0, 255), key=f"{key}-brightness")
    found |= {"min_brightness": dark or None, "max_brightness": light if light < 255 else None}
    return found


def _choice(where: Any, label: str, options: list[str], key: str, start: int = 0) -> str | None:
    value: str = where.selectbox(label, [ANY, *options], index=start, key=key)
    return None if value == ANY else value
