"""Nested figures and parameters under dotted names, as a registry logs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of all sections under `section.name`."""
    return {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}


def numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return every number of a nested mapping under a dotted name; what is no number is left out."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = float(value)
    return found
