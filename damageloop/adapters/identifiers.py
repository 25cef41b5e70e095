"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import uuid_utils


def time_ordered_id() -> str:
    """Return a UUID of version 7."""
    return str(uuid_utils.uuid7())
