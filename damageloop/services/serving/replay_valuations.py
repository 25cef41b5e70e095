"""Value again what was valued, by the rules of then: the answer must come out as it was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from damageloop.domain.valuation.explain import valuation_to_json
from damageloop.domain.valuation.price import value
from damageloop.domain.valuation.seen import case_from_json
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.valuation_rules import rules_from


class Replay(NamedTuple):
    """A stored answer, and what its rules make of the same damages now. `differs`: names of fields that are others."""

    answer: dict[str, Any]
    recomputed: dict[str, Any]
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayValuations:
    """Reads only."""

    units: UnitOfWorkFactory

    def kept(self, valuation_id: str) -> dict[str, Any]:
        """Return the answer, the case it was made of, and the rules. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            content = work.valuations.get(valuation_id)
            rules = work.valuations.rules(int(content["answer"]["valuation_version"]))
        return {**content, "rules": rules}

    def __call__(self, valuation_id: str) -> Replay:
        """Return what one valuation comes to now. Raises NotFoundError."""
        kept = self.kept(valuation_id)
        answer, rules, case = kept["answer"], rules_from(kept["rules"]), case_from_json(kept["case"])
        recomputed = answer | valuation_to_json(case, rules, value(case, rules))
        return Replay(answer, recomputed, tuple(key for key in recomputed if recomputed[key] != answer.get(key)))

    def newest(self, limit: int) -> Iterator[Replay]:
        """Yield what the newest valuations come to now."""
        with self.units(read_only=True) as work:
            ids = work.valuations.newest(limit)
        for valuation_id in ids:
            yield self(valuation_id)
