"""Reads what a valuation is asked with, once the key was checked. No amount of money becomes a float on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request

from api.schemas.valuations import REQUEST_ID_PATTERN
from api.uploads import Upload, read_photos
from damageloop.domain.valuation.rules import VehicleFacts
from damageloop.errors import InvalidInputError
from damageloop.services.serving.value_vehicle import Question

FACTS = ("first_registration", "mileage_km")
# Form fields beside the photos and the vehicle's id.
FORM_FIELDS = frozenset({"base_price", "currency", *FACTS})
_KEYS = frozenset({"request_ids", "base_price", "currency", "vehicle"})
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_EXAMPLES = {"first_registration": "a year, such as 2019", "mileage_km": "a whole number, such as 84000"}
_MAX_SHOWN = 40
_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with either photos or request ids."""

    question: Question
    upload: Upload | None = None
    request_ids: tuple[str, ...] = ()


def is_form(request: Request) -> bool:
    """Tell whether a body is a form, and not a JSON document.

    Raises:
        InvalidInputError: If it is neither.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json"):
        raise InvalidInputError("Send photos as multipart/form-data, or request_ids as application/json.")
    return kind == "multipart/form-data"


async def read_photo_question(request: Request, max_images: int) -> Asked:
    """Return what a form with photos asks. Raises InvalidInputError where it is not as documented."""
    upload = await read_photos(request, max_images, FORM_FIELDS)
    return Asked(_question(upload.texts, upload.texts), upload)


def parse_question(body: bytes) -> Asked:
    """Return what a JSON document asks. Raises InvalidInputError where it is not as documented."""
    return _asked(_parsed(body))


def _asked(document: Any) -> Asked:
    if not isinstance(document, dict):
        raise InvalidInputError("The JSON document must be an object with request_ids, base_price and currency.")
    if unknown := set(document) - _KEYS:
        shown = "".join(c if c.isprintable() else "_" for c in min(unknown))[:_MAX_SHOWN]
        raise InvalidInputError(f"{shown!r} is unknown; a valuation is asked with {', '.join(sorted(_KEYS))}.")
    vehicle = {} if document.get("vehicle") is None else document["vehicle"]
    if not isinstance(vehicle, dict) or set(vehicle) - set(FACTS):
        raise InvalidInputError(f"vehicle must be an object with {' and '.join(FACTS)}, or one of them.")
    request_ids = document.get("request_ids")
    if not isinstance(request_ids, list) or not all(_is_request_id(each) for each in request_ids):
        raise InvalidInputError("request_ids must be a list of ids that predictions were answered with.")
    return Asked(_question(document, vehicle), request_ids=tuple(request_ids))


def _question(given: Mapping[str, Any], vehicle: Mapping[str, Any]) -> Question:
    price, currency = given.get("base_price"), given.get("currency")
    if isinstance(price, bool) or not isinstance(price, str | int | Decimal):
        raise InvalidInputError("base_price is missing or no decimal number; send it as text, such as 18500.00.")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise InvalidInputError("currency is missing or not three capital letters, such as EUR.")
    return Question(price, currency, VehicleFacts(*(_fact(vehicle, name) for name in FACTS)))


def _fact(vehicle: Mapping[str, Any], name: str) -> int | None:
    given = vehicle.get(name)
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and _WHOLE.fullmatch(given):
        return int(given)
    raise InvalidInputError(f"{name} must be {_EXAMPLES[name]}.")


def _is_request_id(given: object) -> bool:
    return isinstance(given, str) and len(given) <= 36 and _REQUEST_ID.fullmatch(given) is not None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError, ArithmeticError) as exc:
        raise InvalidInputError(
            "The body is no valid JSON document: check commas, quotes and brackets, and that no key comes twice."
        ) from exc


def _refuse(_constant: str) -> NoReturn:
    raise ValueError


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two prices one would win silently.
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError
    return document
