"""What a person may ask about images, one or several: pin, skip, send back, a second opinion, a round, a subset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from console import session
from console.components import words
from console.components.confirm import confirm, tell
from damageloop_client import ConnectionFailedError, DamageloopError


@dataclass(frozen=True, slots=True)
class Act:
    """An act on an image; `path` is the last part of its route."""

    path: str
    title: str
    what_happens: str
    icon: str


ACTS = (
    Act("pin", "Pin", "It goes into the next round, before all others.", ":material/keep:"),
    Act("skip", "Skip", "No annotator gets it until somebody pins it.", ":material/visibility_off:"),
    Act(
        "send-back",
        "Send back",
        "It needs rework: an annotator gets it again as a new task, first of all, with the annotation as it is.",
        ":material/undo:",
    ),
    Act(
        "second-opinion",
        "Second opinion",
        "Another person annotates it without seeing what the first one drew.",
        ":material/group:",
    ),
)


OF_REVIEWED = frozenset({"send-back", "second-opinion"})


def act_buttons(image_ids: Sequence[int], key: str, is_reviewed: bool | None = None) -> None:
    """Draw a button for each act; each asks for the reason before it does anything.

    What the API would refuse is shown but disabled, with why; `is_reviewed` is None where images of both kinds may be.
    """
    for act in ACTS:
        why_not = _why_not(act, is_reviewed)
        is_off = not image_ids or why_not is not None
        if st.button(act.title, key=f"{key}-{act.path}", icon=act.icon, disabled=is_off, help=why_not):
            ask(act, image_ids, key)


def _why_not(act: Act, is_reviewed: bool | None) -> str | None:
    if is_reviewed is None or is_reviewed == (act.path in OF_REVIEWED):
        return None
    return "Reviewed already: send it back instead." if is_reviewed else "Nobody has annotated it yet: pin it instead."


def ask(act: Act, image_ids: Sequence[int], key: str) -> None:
    """Open the dialog of an act."""
    of = f"image {image_ids[0]}" if len(image_ids) == 1 else words.count(len(image_ids), "image")
    confirm(
        f"{act.title}: {of}",
        act.what_happens,
        f"{act.title} {of}",
        lambda reason: _each(act, image_ids, reason),
        done=f"{act.title}: asked for {of}.",
        key=f"{key}-{act.path}",
    )


def open_round_of(image_ids: Sequence[int], key: str) -> None:
    """Open the dialog that makes a round of exactly these images."""
    confirm(
        f"Open a round of {words.count(len(image_ids), 'image')}",
        "Annotators get exactly these images. Those that somebody has annotated, or that an open round holds, "
        "are refused: send them back instead.",
        "Open the round",
        lambda _: session.client().post("/v1/rounds", {"image_ids": list(image_ids)}),
        reason="none",
        done="The round is being opened: the page Jobs shows how far it is.",
        key=f"{key}-round",
    )


def save_subset(image_ids: Sequence[int], key: str) -> None:
    """Open the dialog that saves these images under a name."""

    def create(name: str) -> Any:
        return session.client().post("/v1/subsets", {"name": name, "image_ids": list(image_ids)})

    _named(
        f"Save {words.count(len(image_ids), 'image')} as a subset",
        create,
        f"Saved {words.count(len(image_ids), 'image')}. Data, Subsets, has it.",
        key,
    )


def save_filter(query: dict[str, Any], key: str) -> None:
    """Open the dialog that saves a filter under a name, with the images that meet it now."""

    def create(name: str) -> Any:
        return session.client().post("/v1/subsets", {"name": name, "query": query})

    _named("Save this filter as a subset", create, "Saved. Data, Subsets, has it.", key)


def _named(title: str, create: Callable[[str], Any], done: str, key: str) -> None:
    @st.dialog(title)
    def dialog() -> None:
        name = st.text_input("Name of the subset", key=f"{key}-subset-name", max_chars=128).strip()
        if st.button("Save the subset", key=f"{key}-subset-save", type="primary"):
            if not name:
                st.warning("Give it a name, by which others find it.", icon=":material/edit:")
                return
            try:
                create(name)
            except DamageloopError as error:
                st.error(str(error))
                return
            tell(done)
            st.rerun()

    dialog()


def _each(act: Act, image_ids: Sequence[int], reason: str) -> None:
    """Ask for every image; what is refused is told when all were asked for, as each stands for itself."""
    refused: list[str] = []
    for image_id in image_ids:
        try:
            session.client().post(f"/v1/images/{image_id}/{act.path}", {"reason": reason})
        except ConnectionFailedError:
            raise
        except DamageloopError as error:
            if len(image_ids) == 1:
                raise
            refused.append(f"{image_id}: {error}")
    if refused:
        n_done = len(image_ids) - len(refused)
        raise DamageloopError(f"Asked for {n_done} of {len(image_ids)}; refused were {'; '.join(refused[:5])}")
