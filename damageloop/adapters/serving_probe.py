"""Asks the API which model it answers with, by the route that needs no key."""

from __future__ import annotations

import httpx

from damageloop.errors import UnavailableError
from damageloop.ports.serving import ServingReport

_READY = "/v1/health/ready"
_TIMEOUT_S = 5.0


class HttpServingProbe:
    """`ServingProbe` on the API at an address of this platform."""

    def __init__(self, api_url: str) -> None:
        self._url = f"{api_url.rstrip('/')}{_READY}"

    def report(self) -> ServingReport:
        """Return which version answers.

        Raises:
            UnavailableError: If the API is down, or says something else than this product's.
        """
        try:
            # A proxy from the environment must not be asked for an address of this machine.
            answer = httpx.get(self._url, timeout=_TIMEOUT_S, trust_env=False).raise_for_status().json()
            version = answer["champion"]
            return ServingReport(None if version is None else int(version), answer.get("degraded"))
        except httpx.HTTPError as exc:
            raise UnavailableError(f"The API at {self._url} does not answer ({type(exc).__name__}).") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise UnavailableError(f"What answers at {self._url} is not this platform's API.") from exc
