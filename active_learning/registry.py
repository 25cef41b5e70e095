"""Names of query strategies, as params.yaml uses them. A new one is one module and one line here."""

from __future__ import annotations

from active_learning.needs import Need
from active_learning.protocol import Strategy
from active_learning.strategies import (
    coreset,
    dfl_localization,
    entropy,
    flip_consistency,
    least_confidence,
    margin,
    ppal,
    random,
    typiclust,
    uncertainty_herding,
)
from damageloop.errors import InvalidInputError

__all__ = ["DEFAULT", "Need", "names", "needs", "strategy"]

DEFAULT = "uncertainty_herding"
_STRATEGIES: dict[str, tuple[Strategy, frozenset[Need]]] = {
    "coreset": (coreset.select, coreset.NEEDS),
    "dfl_localization": (dfl_localization.select, dfl_localization.NEEDS),
    "entropy": (entropy.select, entropy.NEEDS),
    "flip_consistency": (flip_consistency.select, flip_consistency.NEEDS),
    "least_confidence": (least_confidence.select, least_confidence.NEEDS),
    "margin": (margin.select, margin.NEEDS),
    "ppal": (ppal.select, ppal.NEEDS),
    "random": (random.select, random.NEEDS),
    "typiclust": (typiclust.select, typiclust.NEEDS),
    "uncertainty_herding": (uncertainty_herding.select, uncertainty_herding.NEEDS),
}


def names() -> tuple[str, ...]:
    """Return the names of all strategies, sorted."""
    return tuple(sorted(_STRATEGIES))


def strategy(name: str) -> Strategy:
    """Return the strategy of this name.

    Raises:
        InvalidInputError: If there is none; the sentence lists the names.
    """
    return _entry(name)[0]


def needs(name: str) -> frozenset[Need]:
    """Return what the strategy of this name cannot do without; `uncertainty_herding` makes do with what there is.

    Raises:
        InvalidInputError: If there is none; the sentence lists the names.
    """
    return _entry(name)[1]


def _entry(name: str) -> tuple[Strategy, frozenset[Need]]:
    try:
        return _STRATEGIES[name]
    except KeyError as exc:
        raise InvalidInputError(f"There is no query strategy {name!r}; there are {', '.join(names())}.") from exc
