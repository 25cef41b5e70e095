"""Names of query strategies, as params.yaml uses them. A new one is one module and one line here."""

from __future__ import annotations

from active_learning.protocol import Strategy
from active_learning.strategies import entropy, least_confidence, margin, random
from damageloop.errors import InvalidInputError

_STRATEGIES: dict[str, Strategy] = {
    "random": random.select,
    "least_confidence": least_confidence.select,
    "entropy": entropy.select,
    "margin": margin.select,
}


def names() -> tuple[str, ...]:
    """Return the names of all strategies, sorted."""
    return tuple(sorted(_STRATEGIES))


def strategy(name: str) -> Strategy:
    """Return the strategy of this name.

    Raises:
        InvalidInputError: If there is none; the sentence lists the names.
    """
    try:
        return _STRATEGIES[name]
    except KeyError as exc:
        raise InvalidInputError(f"There is no query strategy {name!r}; there are {', '.join(names())}.") from exc
