"""Figures, dates and outcomes as people read them. Nothing is computed here: a figure is the API's, written out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

NOT_KNOWN = "–"
OUTCOMES = {
    "damaged": "Damaged",
    "none": "None",
    "unsure": "Unsure",
    "unusable_image": "Unusable photo",
    None: "Not readable",
}


def figure(value: float | None, digits: int = 3) -> str:
    """Return a figure such as 0.512, and a dash where there is none."""
    return NOT_KNOWN if value is None else f"{value:,.{digits}f}"


def share(value: float | None, digits: int = 0) -> str:
    """Return a share of 1 as percent: 0.256 is 26 %."""
    return NOT_KNOWN if value is None else f"{100 * value:.{digits}f} %"


def with_interval(value: float | None, interval: Sequence[float] | None, digits: int = 3) -> str:
    """Return a figure with its interval: 0.512 (0.480 to 0.551)."""
    if value is None or not interval or None in interval:
        return figure(value, digits)
    low, high = interval
    return f"{figure(value, digits)} ({figure(low, digits)} to {figure(high, digits)})"


def count(number: int | None, one: str = "", more: str | None = None) -> str:
    """Return a number with its noun: `count(3, "image")` is "3 images"."""
    if number is None:
        return NOT_KNOWN
    noun = one if number == 1 else (more or f"{one}s") if one else ""
    return f"{number:,} {noun}".strip()


def moment(text: str | None) -> str:
    """Return the API's time (ISO 8601, UTC) as 2027-01-04 09:30 UTC."""
    return NOT_KNOWN if not text else f"{_parsed(text):%Y-%m-%d %H:%M} UTC"


def ago(text: str | None, now: datetime | None = None) -> str:
    """Return how long ago the API's time was: "4 min ago"."""
    if not text:
        return NOT_KNOWN
    return f"{duration(((now or datetime.now(UTC)) - _parsed(text)).total_seconds())} ago"


def duration(seconds: float | None) -> str:
    """Return seconds as people say them: 42 s, 4 min, 3 h 5 min, 2 days."""
    if seconds is None:
        return NOT_KNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def outcome(value: str | None) -> str:
    """Return what a photo or a car shows; no damage is written "None"."""
    return OUTCOMES.get(value) or plain(str(value))


def plain(name: str) -> str:
    """Return a name of the API as words: `false_alarm` is "false alarm"."""
    return name.replace("_", " ")


def _parsed(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
