"""Tell a pricing service what damages mean for the price of a car, and tell it the same again for ever."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from damageloop.domain.labels import FormerNames
from damageloop.domain.valuation.explain import valuation_to_json
from damageloop.domain.valuation.money import read_amount
from damageloop.domain.valuation.price import value
from damageloop.domain.valuation.rules import VehicleFacts
from damageloop.domain.valuation.seen import Case, case_to_json
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.evidence_case import Evidence, what_was_seen
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.services.serving.valuation_rules import KeptRules, kept_rules
from damageloop.serving_params import ServingParams

MAX_REQUESTS = 16
MIN_YEAR, MAX_YEAR = 1900, 2100
MAX_MILEAGE_KM = 10_000_000
# Any fixed one: ids are made of what was asked under it.
_NAMESPACE = uuid.UUID("5d2b8f2e-6f0a-5c1e-9a37-0c7d0e6b4a11")
# What of `serving` decides what is said of a photo, beside the release and the severities, which are rules.
_SHAPES_ANSWERS = {
    "default_threshold",
    "none_probability_min",
    "min_calibration_images",
    "dark_brightness",
    "min_brightness",
    "min_sharpness",
    "min_side_px",
    "damage_prevalence",
    "shapes",
}


class ModelVersionsDifferError(ConflictError):
    """Requests that shall be valued together were answered by different model versions."""

    code = "model_versions_differ"


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks beside its photos; `base_price` is text, or a number read without floats."""

    base_price: str | int | Decimal
    currency: str
    facts: VehicleFacts = field(default_factory=VehicleFacts)


class ValueVehicle:
    """Values cars by the rules as they are now, and keeps each valuation. Safe to share between threads.

    Args:
        units: Opens units of work.
        evidence: What was answered.
        clock: For the moment of a valuation.
        params: Returns the parameters as they are now: changed rules hold from the next request on.
        serving: What the answering service goes by, which it read at its start.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        evidence: EvidenceLog,
        clock: Clock,
        params: Callable[[], Params],
        serving: ServingParams,
    ) -> None:
        self._units = units
        self._evidence = evidence
        self._clock = clock
        self._params = params
        self._serving = serving
        self._versions: dict[str, int] = {}
        self._lock = threading.Lock()

    def check(self, question: Question) -> None:
        """Raise InvalidInputError where a question can't be answered whatever the photos show."""
        self._case(question, kept_rules(self._params().valuation, self._params().serving), (), FormerNames())

    def photos(self, request_id: str, question: Question) -> dict[str, Any]:
        """Return the valuation of photos that were answered just now; the same photos get the same for ever.

        Raises:
            InvalidInputError: With code `unusable_image` if no photo can be judged, or if the question is not valid.
        """
        evidence = self._evidence.get(request_id)
        params = self._params()
        source = {
            "photos": evidence["image_sha256"],
            "thresholds": evidence["thresholds"],
            "precision": evidence["precision"],
            "serving": self._serving.model_dump(mode="json", include=_SHAPES_ANSWERS),
            "labels": [dict(params.labels.renamed), list(params.labels.removed)],
        }
        return self._valued(params, [evidence], question, source)

    def requests(self, request_ids: Sequence[str], question: Question) -> dict[str, Any]:
        """Return the valuation of all photos of earlier requests.

        Raises:
            NotFoundError: If a request is unknown, or its evidence is no longer kept.
            ModelVersionsDifferError: If they were not all answered by one version.
            InvalidInputError: If there is none or too many, one comes twice, or as `photos` raises it.
        """
        if not 1 <= len(request_ids) <= MAX_REQUESTS:
            raise InvalidInputError(f"Name 1 to {MAX_REQUESTS} request_ids; there are {len(request_ids)}.")
        if len(set(request_ids)) < len(request_ids):
            raise InvalidInputError("A request_id comes twice: its damages would count twice.")
        evidences = [self._evidence.get(request_id) for request_id in request_ids]
        return self._valued(self._params(), evidences, question, {"request_ids": list(request_ids)})

    def again(self, valuation_id: str) -> dict[str, Any]:
        """Return an earlier valuation exactly as it was given. Raises NotFoundError."""
        with self._units(read_only=True) as work:
            answer: dict[str, Any] = work.valuations.get(valuation_id)["answer"]
        return answer

    def _valued(
        self, params: Params, evidences: Sequence[Evidence], question: Question, source: Mapping[str, Any]
    ) -> dict[str, Any]:
        answers = [evidence["answer"] for evidence in evidences]
        if len({answer["model_version"] for answer in answers}) > 1:
            raise ModelVersionsDifferError(
                "These requests were answered by different model versions; send their photos again in one request."
            )
        kept = kept_rules(params.valuation, params.serving)
        case = self._case(question, kept, evidences, params.labels.former)
        version = self._version(kept)
        valuation_id = _id(case, source, version, answers[0]["model_version"])
        try:
            return self.again(valuation_id)
        except NotFoundError:
            pass
        answer = {
            "valuation_id": valuation_id,
            "valuation_version": str(version),
            "model_version": answers[0]["model_version"],
            "model_since": answers[0].get("model_since"),
            **valuation_to_json(case, kept.rules, value(case, kept.rules)),
            "request_ids": [answer["request_id"] for answer in answers],
        }
        return self._keep(answer, {"answer": answer, "case": case_to_json(case)}, version)

    def _case(self, question: Question, kept: KeptRules, evidences: Sequence[Evidence], former: FormerNames) -> Case:
        year, mileage = question.facts.first_registration, question.facts.mileage_km
        if year is not None and not MIN_YEAR <= year <= MAX_YEAR:
            raise InvalidInputError(f"first_registration takes a year from {MIN_YEAR} to {MAX_YEAR}.")
        if mileage is not None and not 0 <= mileage <= MAX_MILEAGE_KM:
            raise InvalidInputError(f"mileage_km takes 0 to {MAX_MILEAGE_KM:,} kilometres.")
        currency = kept.rules.currency(question.currency)
        base_price = read_amount(question.base_price, currency.decimals)
        photos, pairs = what_was_seen(evidences, former)
        return Case(photos, pairs, base_price, question.currency, question.facts)

    def _version(self, kept: KeptRules) -> int:
        with self._lock:
            known = self._versions.get(kept.content_hash)
        if known is None:
            with self._units() as work:
                known = work.valuations.version_of(kept.content_hash, kept.content, self._clock.now())
                work.commit()
            with self._lock:
                self._versions[kept.content_hash] = known
        return known

    def _keep(self, answer: Mapping[str, Any], content: Mapping[str, Any], version: int) -> dict[str, Any]:
        valuation_id = str(answer["valuation_id"])
        with self._units() as work:
            work.valuations.add(valuation_id, version, int(answer["model_version"]), content, self._clock.now())
            work.commit()
        # Of two that came at once the first is kept, and both are told that.
        return self.again(valuation_id)


def _id(case: Case, source: Mapping[str, Any], version: int, model_version: str) -> str:
    """Return the id of a valuation: the same question under the same versions has the same one."""
    asked = {
        "source": source,
        "base_price": format(case.base_price, "f"),
        "currency": case.currency,
        "facts": [case.facts.first_registration, case.facts.mileage_km],
        "valuation_version": version,
        "model_version": model_version,
    }
    written = json.dumps(asked, sort_keys=True).encode()
    return str(uuid.uuid5(_NAMESPACE, hashlib.sha256(written).hexdigest()))
