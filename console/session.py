"""Who is logged in, and the client that asks the API for them. The key lives in this session's memory, nowhere else."""

from __future__ import annotations

import os
from typing import Any

import streamlit as st

from damageloop_client import DamageloopClient, Retries

_CLIENT, _PRICING, _HOLDER = "_client", "_pricing_client", "_holder"
# A page that waits longer is worse than one that says that the platform is away.
TIMEOUT_S = 30.0
_RETRIES = Retries(attempts=2)


def client() -> DamageloopClient:
    """Return the client of whoever is logged in; pages run only then."""
    found: DamageloopClient = st.session_state[_CLIENT]
    return found


def pricing_client() -> DamageloopClient:
    """Return the client of the pricing surface, which may have an address of its own."""
    found: DamageloopClient = st.session_state[_PRICING]
    return found


def holder() -> dict[str, Any]:
    """Return the key that is logged in as the API describes it: id, name, scopes, hint. Never the key."""
    return dict(st.session_state[_HOLDER])


def allows(scope: str) -> bool:
    """Tell whether the key may do what `scope` names; `admin` may do everything."""
    return bool({scope, "admin"} & set(holder()["scopes"]))


def is_logged_in() -> bool:
    return _CLIENT in st.session_state


def log_in(api_key: str) -> None:
    """Remember the key for this session, once the API knows it.

    Raises:
        DamageloopError: Of the client, if the API does not answer or does not know the key.
    """
    asked = DamageloopClient(operations_url(), api_key, timeout_s=TIMEOUT_S, retries=_RETRIES)
    found = asked.get("/v1/keys/current")
    st.session_state[_HOLDER] = found
    st.session_state[_PRICING] = DamageloopClient(pricing_url(), api_key, timeout_s=TIMEOUT_S, retries=_RETRIES)
    st.session_state[_CLIENT] = asked


def log_out() -> None:
    """Forget the key and everything that was shown with it."""
    for name in (_CLIENT, _PRICING):
        if name in st.session_state:
            st.session_state[name].close()
    st.session_state.clear()


def operations_url() -> str:
    """Return where the routes for the ML team are."""
    return os.environ.get("DAMAGELOOP_OPERATIONS_URL") or pricing_url()


def pricing_url() -> str:
    """Return where photos are answered."""
    port = os.environ.get("DAMAGELOOP_API_PORT") or "8000"
    return os.environ.get("DAMAGELOOP_API_URL") or f"http://localhost:{port}"


def cache_key() -> str:
    """Return what cached answers belong to: nobody sees what another key was shown."""
    return f"{operations_url()} {holder()['id']}"
