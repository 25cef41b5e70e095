"""The page Settings: API keys, damage classes, and the parameters as they are."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console import session
from console.components import words
from console.components.asking import asking, doing
from console.components.confirm import confirm

_NEW = "settings-new-key"
_SCOPES = {
    "predict": "predict: ask for damages and prices",
    "review": "review: work with rounds, images and data",
    "admin": "admin: everything, promotions and keys too",
}


def show() -> None:
    """Draw the page."""
    st.title("Settings")
    keys, labels, parameters = st.tabs(["API keys", "Damage classes", "Parameters"], key="settings-tabs")
    with keys:
        _keys()
    with asking("the parameters"):
        found = session.client().get("/v1/parameters")
        with labels:
            _classes(found["classes"])
        with parameters:
            st.markdown("As they are in use. They are changed in `params.yaml` of the workspace, never here.")
            st.code(found["text"], language="yaml")


def _keys() -> None:
    if not session.allows("admin"):
        st.info("Keys are an administrator's: log in with a key that has the scope `admin` to see them.")
        return
    _create()
    _show_new()
    with asking("the keys"):
        keys = session.client().get("/v1/keys")
        st.dataframe(
            [
                {
                    "Key": key["id"],
                    "Name": key["name"],
                    "Begins": key["hint"] or words.NOT_KNOWN,
                    "Scopes": ", ".join(key["scopes"]),
                    "State": words.plain(key["state"]),
                    "Last used": words.moment(key["last_used_at"]),
                    "Ends": words.moment(key["expires_at"]),
                }
                for key in keys
            ],
            hide_index=True,
            alt="All API keys with their scopes and states.",
        )
        _change([key for key in keys if key["state"] == "in_use"])


def _create() -> None:
    with st.form("key-create", clear_on_submit=True):
        st.markdown("**Make a key**")
        name = st.text_input("Name", key="key-name", max_chars=100, placeholder="who or what will use it").strip()
        scopes = st.multiselect("Scopes", list(_SCOPES), ["review"], format_func=_SCOPES.__getitem__, key="key-scopes")
        days = st.number_input("Ends after days (empty: never)", 1, 3650, None, key="key-days")
        is_sent = st.form_submit_button("Make the key")
    if not is_sent:
        return
    if not name or not scopes:
        st.warning("Give it a name and at least one scope.")
        return
    with doing("Making the key"):
        wanted = {"name": name, "scopes": scopes, "expires_in_days": days}
        st.session_state[_NEW] = session.client().post("/v1/keys", wanted)


def _show_new() -> None:
    made: dict[str, Any] | None = st.session_state.pop(_NEW, None)
    if made is not None:
        st.success(f"Key **{made['name']}** was made. Copy it now: it is shown this once.", icon=":material/key:")
        st.code(made["key"], language=None)


def _change(keys: list[dict[str, Any]]) -> None:
    by_id = {key["id"]: key for key in keys}
    if not by_id:
        return
    chosen = st.selectbox(
        "A key in use",
        by_id,
        format_func=lambda key_id: f"{key_id}: {by_id[key_id]['name']} ({by_id[key_id]['hint'] or 'old'})",
        key="key-which",
    )
    renew, revoke, _ = st.columns([1, 1, 4])
    if renew.button("Renew it", key="key-rotate"):
        _ask_to_rotate(by_id[chosen])
    if revoke.button("Revoke it", key="key-revoke"):
        _ask_to_revoke(by_id[chosen])


def _ask_to_rotate(key: dict[str, Any]) -> None:
    def rotate(_: str) -> None:
        st.session_state[_NEW] = session.client().post(f"/v1/keys/{key['id']}/rotate", {"overlap_hours": 24})

    confirm(
        f"Renew key {key['id']}",
        f"**{key['name']}** gets a successor with the same scopes; the old key ends after 24 hours.",
        "Renew this key",
        rotate,
        reason="none",
        done=f"Key {key['id']} has a successor.",
    )


def _ask_to_revoke(key: dict[str, Any]) -> None:
    confirm(
        f"Revoke key {key['id']}",
        f"Whoever uses **{key['name']}** is refused at once. That can't be undone.",
        "Revoke this key",
        lambda _: session.client().delete(f"/v1/keys/{key['id']}"),
        reason="none",
        done=f"Key {key['id']} opens nothing any more.",
    )


def _classes(classes: list[dict[str, Any]]) -> None:
    st.markdown("`damageloop labels` adds, renames and removes classes. The colors are those of the labeling page.")
    for item in classes:
        swatch = f'<span aria-hidden="true" style="color:{item["color"]};font-size:1.4em">■</span>'
        st.html(f"{swatch} <strong>{_escaped(item['name'])}</strong> <code>{item['color']}</code>")
        if item["definition"]:
            st.markdown(item["definition"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
