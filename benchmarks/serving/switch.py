"""A promotion and a rollback while requests come in at half the capacity: what fails, what is mixed, and how soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.serving.contest import Contest, load
from benchmarks.serving.home import Home, promote, publish
from benchmarks.serving.sides import Place, ours
from damageloop.domain.promotion import PromotionReason

_CAPACITY_S = 5.0
_BEFORE_S, _BETWEEN_S, _AFTER_S = 5.0, 12.0, 12.0
_GOOD = 200


def promote_under_load(place: Place, precision: str, share: float = 0.5) -> dict[str, Any]:
    """Promote a second version under a steady load, then go back to the first; return what clients saw.

    The second version names its classes apart, so that an answer with classes of one and the number of the other shows.
    """
    name = f"ours {precision}"
    contest = Contest(place, {name: partial(ours, precision, name, {}, False)})
    try:
        side = contest.side(name)
        if side.home is None:
            raise AssertionError("Our own side has a home.")
        publish(side.home.settings, place.material, 2, precision, [f"{label} 2" for label in place.material.labels])
        capacity = load(side, _CAPACITY_S, concurrency=8)["requests_per_s"]
        moments: dict[str, float] = {}
        switching = threading.Thread(target=_switch, args=(side.home, moments), daemon=True)
        switching.start()
        seconds = _BEFORE_S + _BETWEEN_S + _AFTER_S
        found = load(side, seconds, rate=capacity * share, versions=True)
        switching.join()
    finally:
        contest.close()
    timeline = found.pop("timeline")
    return {
        "precision": precision,
        "capacity_per_s": capacity,
        "share": share,
        **found,
        "n_mixed": sum(answer["is_mixed"] for answer in timeline),
        **_seen(timeline, {name: at - found["started_at"] for name, at in moments.items()}),
    }


def _switch(home: Home, moments: dict[str, float]) -> None:
    def at(seconds: float, name: str, act: Callable[[], None]) -> None:
        time.sleep(seconds)
        act()
        moments[name] = time.time()

    at(_BEFORE_S, "promotion", lambda: promote(home.settings, 2))
    at(_BETWEEN_S, "rollback", lambda: promote(home.settings, 1, PromotionReason.ROLLBACK))


def _seen(timeline: Sequence[Mapping[str, Any]], moments: Mapping[str, float]) -> dict[str, Any]:
    """Return the seconds from each row in the database to the first answer of the version that it names."""
    good = [answer for answer in timeline if answer["status"] == _GOOD]
    told: dict[str, Any] = {}
    for name, version in (("promotion", "2"), ("rollback", "1")):
        ended = [a["ended_s"] for a in good if a["version"] == version and a["ended_s"] > moments[name]]
        told[f"{name}_first_answer_s"] = round(min(ended) - moments[name], 3) if ended else None
    return told
