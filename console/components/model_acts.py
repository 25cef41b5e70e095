"""Promote, refuse and roll back: who may, what follows, and how far the newest promotion is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from console import session
from console.components.confirm import confirm
from console.components.words import moment, plain

_FOLLOWS = "Registry, serving, the pool's scores and pre-labels follow by themselves, step by step."
_STEPS = {
    "release": "Release is whole",
    "registry": "Registry's alias",
    "serving": "Serving answers with it",
    "pool": "Pool is scored",
    "pre_annotations": "Pre-labels are renewed",
    "superseded": "Superseded",
}


def show_acts(version: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> None:
    """Offer what may be done about a version; without the scope `admin` the buttons are off, and it is said why."""
    may = session.allows("admin")
    name, judged = version["model_version"], (version["decision"] or {}).get("decision")
    if not may:
        st.info("Promoting, refusing and rolling back want a key with the scope `admin`; yours may look.")
    wants_word = not version["is_champion"] and judged != "promote"
    against = False
    if wants_word:
        said = {None: "has not judged it", "refuse": "refused it"}.get(judged, "could not judge it")
        against = st.checkbox(
            f"Promote version {name} against the gate, which {said}", key="models-against", disabled=not may
        )
    promote, refuse, back = st.columns(3)
    off = not may or version["is_champion"]
    if promote.button(
        f"Promote version {name}", key="models-promote", type="primary", disabled=off or (wants_word and not against)
    ):
        _confirm_promotion(name, against)
    if refuse.button(f"Refuse version {name}", key="models-refuse", disabled=off or judged == "refuse"):
        _confirm_refusal(name)
    n_promotions = sum(len(item["promotions"]) for item in versions)
    if back.button("Roll back", key="models-rollback", disabled=not may or n_promotions < 2):
        _confirm_rollback()


def _confirm_promotion(name: str, against: bool) -> None:
    body = {"against_the_gate": against}
    confirm(
        f"Promote version {name}",
        f"Version {name} becomes champion and answers from then on. {_FOLLOWS}"
        + (" **This is against the gate.**" if against else ""),
        "Promote it",
        lambda why: session.client().post(f"/v1/models/{name}/promote", {"reason": why, **body}),
        done=f"Version {name} is champion now. {_FOLLOWS}",
        key="models-confirm-promote",
    )


def _confirm_refusal(name: str) -> None:
    confirm(
        f"Refuse version {name}",
        f"Nothing promotes version {name} by itself any more; a person can, against the gate. Your reason is kept.",
        "Refuse it",
        lambda why: session.client().post(f"/v1/models/{name}/refuse", {"reason": why}),
        done=f"Version {name} is refused.",
        key="models-confirm-refuse",
    )


def _confirm_rollback() -> None:
    confirm(
        "Roll back",
        f"The champion before this one answers again. {_FOLLOWS} What was rolled back from comes again by a person "
        "alone.",
        "Roll back now",
        lambda why: session.client().post("/v1/models/rollback", {"reason": why}),
        done="Rolled back to the champion before.",
        key="models-confirm-rollback",
    )


def show_progress(versions: Sequence[Mapping[str, Any]]) -> None:
    """Show how far the newest promotion is; nothing where there is none."""
    newest = max((p for item in versions for p in item["promotions"]), key=lambda p: p["id"], default=None)
    if newest is None:
        return
    done = [step for step in newest["steps"] if step["done_at"]]
    n_steps = len(newest["steps"])
    st.progress(
        len(done) / n_steps, f"Promotion of version {newest['model_version']}: {len(done)} of {n_steps} steps are done"
    )
    for column, step in zip(st.columns(n_steps), newest["steps"], strict=True):
        sign = ":material/check_circle:" if step["done_at"] else ":material/hourglass_empty:"
        column.markdown(f"{sign} {_STEPS.get(step['step'], plain(step['step']))}")
        column.caption(moment(step["done_at"]) if step["done_at"] else "waits")
