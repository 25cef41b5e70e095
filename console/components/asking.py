"""Asking the platform: what it refuses, and that it is away, become sentences that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from console import session
from damageloop_client import (
    ConnectionFailedError,
    DamageloopError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    TryLaterError,
    UnexpectedAnswerError,
)

_ADVICE: dict[type[DamageloopError], str] = {
    NotAllowedError: "Ask an administrator for a key with that scope.",
    NotFoundError: "It may have been removed meanwhile: load the page again.",
    TryLaterError: "Try again in a moment.",
    InvalidRequestError: "Change what you entered and try again.",
}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Run a block that asks the platform; where that fails, say it in the block's place and go on after the block.

    Draw what was answered inside the block. Code after it runs in either case::

        with asking("the jobs"):
            draw(client().get("/v1/jobs"))

    Args:
        what: What the block shows, as it is used in "... can't be shown".
    """
    try:
        yield
    except DamageloopError as error:
        st.error(f"{_capital(what)} can't be shown. {sentence(error)}", icon=":material/error:")


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Run a block that changes something, as `asking` does: `what` as it is used in "... did not happen".

    The block ends where the platform refuses: a `st.rerun()` or a word of thanks at its end is not reached then.
    """
    try:
        yield
    except DamageloopError as error:
        st.error(f"{_capital(what)} did not happen. {sentence(error)}", icon=":material/error:")


def sentence(error: DamageloopError) -> str:
    """Return what happened and what to do, for people."""
    if isinstance(error, ConnectionFailedError):
        return (
            f"The platform does not answer at {session.operations_url()}. Start it with `damageloop up`, "
            "or ask who runs it; this page works again as soon as it answers."
        )
    if isinstance(error, UnexpectedAnswerError):
        return "What answers is not this platform, or another version. Ask who runs it to update both."
    if isinstance(error, NotAllowedError) and error.status == 401:
        return f"{error} Log out, and log in with a key that is good."
    if isinstance(error, TryLaterError) and error.retry_after_s is not None:
        return f"{error} Try again in {error.retry_after_s:.0f} s."
    advice = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{error} {advice}".strip()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
