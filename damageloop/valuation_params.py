"""Parameters of valuation: what damages cost, by class, severity, currency and value of the car."""

from __future__ import annotations

from damageloop.training_params import Section


class ValuationParams(Section):
    """Rules of valuation."""
