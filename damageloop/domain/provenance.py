"""Whether a training runs on what its snapshot was made with: the same data and parameters are not all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMED = {
    "code_revision": "the code",
    "lock_hash": "the set of installed libraries",
    "base_sha256": "the base weights file",
}
_SHOWN = 32


def differences(recorded: Mapping[str, Any], running: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what is not as the snapshot says; the result may differ by that much.

    What either of them does not say is no difference.

    Args:
        recorded: `data/provenance.json` of the snapshot.
        running: The same keys, as they are now.
    """
    found = []
    for key, name in _NAMED.items():
        was, now = str(recorded.get(key) or ""), str(running.get(key) or "")
        if was and now and was != now:
            found.append(f"{name} is {now[:_SHOWN]}, the snapshot was made with {was[:_SHOWN]}")
    return tuple(found)
