"""The page Jobs: what runs and how far it is, what ran, ending one and trying one again."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console import session
from console.components import words
from console.components.asking import asking
from console.components.confirm import confirm

_PAGE = 25
_AFTER = "jobs-after"
_ACTIVE = ("queued", "running")
# The act and the job that a dialog is wanted for.
_WANTED = "jobs-wanted"


def show() -> None:
    """Draw the page."""
    st.title("Jobs")
    _list()
    # Opened here and not in the list, whose next renewal would close it.
    if wanted := st.session_state.pop(_WANTED, None):
        act, job = wanted
        (_ask_to_cancel if act == "cancel" else _ask_to_retry)(job)


# Often enough to see an epoch move, and one small question each time.
@st.fragment(run_every=5)
def _list() -> None:
    trail: list[int] = st.session_state.setdefault(_AFTER, [])
    with asking("the jobs"):
        page = session.client().get("/v1/jobs", limit=_PAGE, after=trail[-1] if trail else None)
        _active([job for job in page["items"] if job["state"] in _ACTIVE])
        _ended([job for job in page["items"] if job["state"] not in _ACTIVE])
        _turn_pages(trail, page["next_after"])


def _active(jobs: list[dict[str, Any]]) -> None:
    st.subheader("Running and waiting")
    if not jobs:
        st.info("Nothing runs. The loop asks for a job as soon as one is due; the overview says what it waits for.")
    for job in jobs:
        with st.container(border=True):
            _describe(job)
            _progress(job)
            _log(job)
            is_ending = job["is_cancel_requested"]
            if st.button("Cancel", key=f"cancel-{job['id']}", disabled=is_ending, help=f"Cancel job {job['id']}"):
                _want("cancel", job)
            if is_ending:
                st.caption("It was told to end.")


def _describe(job: dict[str, Any]) -> None:
    began = (
        f"began {words.ago(job['started_at'])}" if job["started_at"] else f"asked for {words.ago(job['created_at'])}"
    )
    st.markdown(f"**{words.plain(job['kind'])}** · job {job['id']} · {job['state']} · {began} · `{job['key']}`")


def _progress(job: dict[str, Any]) -> None:
    detail = job["detail"]
    st.progress(min(1.0, job["progress"]), text=f"{words.share(job['progress'])} {job['message']}")
    if "epoch" not in detail:
        return
    epoch, loss, left = st.columns(3)
    epoch.metric("Epoch", f"{detail['epoch']} of {detail['epochs']}")
    loss.metric("Loss", words.figure(detail.get("loss")))
    left.metric("Time left", words.duration(detail.get("seconds_left")), help="Of the epochs, by their pace so far.")


def _log(job: dict[str, Any]) -> None:
    if lines := job["detail"].get("log"):
        with st.expander(f"Last lines of the log of job {job['id']}"):
            st.code("\n".join(lines), language=None)


def _ended(jobs: list[dict[str, Any]]) -> None:
    st.subheader("Ended")
    if not jobs:
        st.info("No job has ended yet.")
        return
    rows = [
        {
            "Job": job["id"],
            "What": words.plain(job["kind"]),
            "How it ended": job["state"],
            "When": words.moment(job["finished_at"]),
            "Attempts": job["attempts"],
            "What it says": job["error"] or job["message"],
        }
        for job in jobs
    ]
    st.dataframe(rows, hide_index=True, alt=f"The last {len(rows)} jobs that ended, newest first.")
    bad = {job["id"]: job for job in jobs if job["state"] in ("failed", "cancelled")}
    if bad:
        chosen = st.selectbox(
            "A job that failed or was cancelled",
            bad,
            format_func=lambda job_id: f"{job_id}: {words.plain(bad[job_id]['kind'])}",
            key="retry-which",
        )
        if st.button("Try it again", key="retry"):
            _want("retry", bad[chosen])


def _turn_pages(trail: list[int], next_after: int | None) -> None:
    newer, older, _ = st.columns([1, 1, 6])
    if newer.button("Newer", key="jobs-newer", disabled=not trail):
        trail.pop()
        st.rerun(scope="fragment")
    if older.button("Older", key="jobs-older", disabled=next_after is None) and next_after is not None:
        trail.append(next_after)
        st.rerun(scope="fragment")


def _want(act: str, job: dict[str, Any]) -> None:
    st.session_state[_WANTED] = (act, job)
    st.rerun()


def _ask_to_cancel(job: dict[str, Any]) -> None:
    confirm(
        f"Cancel job {job['id']}",
        f"**{words.plain(job['kind'])}** ends within seconds, and what it did so far may be lost. "
        "The loop does not ask for it again by itself; you can try it again here.",
        "Cancel this job",
        lambda _: session.client().post(f"/v1/jobs/{job['id']}/cancel"),
        reason="none",
        done=f"Job {job['id']} was told to end.",
    )


def _ask_to_retry(job: dict[str, Any]) -> None:
    confirm(
        f"Try job {job['id']} again",
        f"A new job does **{words.plain(job['kind'])}** with the same inputs.",
        "Try it again now",
        lambda _: session.client().post(f"/v1/jobs/{job['id']}/retry"),
        reason="none",
        done=f"Job {job['id']} is tried again as a new job.",
    )
