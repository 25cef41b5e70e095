"""label-studio-ml's Flask application, hardened: three routes go through, no detail of an error and no token gets out.

With a password, only `GET /` and `GET /health`, which tell nothing, are answered to those who do not send it.

This module reads no settings; `server` runs what it returns.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from types import MethodType
from typing import TYPE_CHECKING, Any

from flask import Flask
from label_studio_ml import api as vendor
from label_studio_ml.model import LabelStudioMLManager
from werkzeug.wsgi import ClosingIterator

from damageloop.domain.labels import NO_FORMER_NAMES, FormerNames
from ml_backend.model import DamageModel
from ml_backend.source import PreAnnotationSource

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

FIRST_ERROR_STATUS = 400
# The rest of label-studio-ml's routes train models, list folders or run subprocesses.
OPEN = frozenset({("GET", "/"), ("GET", "/health")})
FORWARDED = OPEN | {("POST", "/predict")}
# Label Studio sends both by basic authentication (RFC 7617).
USER = "damageloop"


def create_app(
    source: PreAnnotationSource,
    former: Callable[[], FormerNames] = lambda: NO_FORMER_NAMES,
    password: str | None = None,
) -> Flask:
    """Return label-studio-ml's application, which answers from `source`; see `DamageModel` for `former`.

    Without a password it answers everybody who reaches it.

    It is one object in each process: another call gives it another source.
    """
    # Its debug log holds whole requests, and the one to `/setup` holds a token.
    logging.getLogger("label_studio_ml").setLevel(logging.WARNING)
    flask_app: Flask = vendor.init_app(DamageModel)
    model = DamageModel(source, former)
    # Set up here once: what `/setup` sends is neither needed nor kept.
    LabelStudioMLManager._current_model = _Serving(model)  # noqa: SLF001
    flask_app.wsgi_app = Hardened(MethodType(Flask.wsgi_app, flask_app), model, password)  # type: ignore[method-assign]
    return flask_app


class _Serving:
    """Stands for label-studio-ml's `ModelWrapper`, with the version of the moment."""

    is_training = False

    def __init__(self, model: DamageModel) -> None:
        self.model = model

    @property
    def model_version(self) -> str:
        return self.model.version


OWN: Mapping[tuple[str, str], Callable[[DamageModel], Mapping[str, str | list[str]]]] = {
    ("POST", "/setup"): lambda model: {"model_version": model.version},
    ("GET", "/versions"): lambda model: {"versions": model.versions},
    ("POST", "/webhook"): lambda _: {"status": "ignored"},
}


class Hardened:
    """Lets three routes through, answers `OWN` itself, and hides the detail of every error."""

    def __init__(self, inner: WSGIApplication, model: DamageModel, password: str | None = None) -> None:
        self._inner = inner
        self._model = model
        sent = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self._wanted = None if password is None else f"Basic {sent}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        route = (environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"))
        if route not in OPEN and not self._is_known(environ):
            challenge = [("WWW-Authenticate", 'Basic realm="damageloop"')]
            return _send(start_response, "401 Unauthorized", {"error": "unauthorized"}, challenge)
        try:
            if route in FORWARDED:
                return self._forward(environ, start_response)
            if route in OWN:
                return _send(start_response, "200 OK", OWN[route](self._model))
        except Exception:
            logger.exception("%s %s failed", *route)
            return _send(start_response, "500 Internal Server Error", {"error": "internal error"})
        return _send(start_response, "404 Not Found", {"error": "not found"})

    def _is_known(self, environ: WSGIEnvironment) -> bool:
        sent = str(environ.get("HTTP_AUTHORIZATION", ""))
        return self._wanted is None or hmac.compare_digest(sent.encode("latin-1"), self._wanted.encode())

    def _forward(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began: list[tuple[str, Any]] = []

        def keep(status: str, headers: Any, _: Any = None) -> Any:
            began.append((status, headers))

        parts = ClosingIterator(self._inner(environ, keep))
        with closing(parts):
            body = b"".join(parts)
        status, headers = began[-1]
        if int(status[:3]) >= FIRST_ERROR_STATUS:
            logger.error("label-studio-ml answered %s", status)
            return _send(start_response, "500 Internal Server Error", {"error": "internal error"})
        start_response(status, headers)
        return [body]


def _send(
    start_response: StartResponse,
    status: str,
    content: Mapping[str, str | list[str]],
    headers: Sequence[tuple[str, str]] = (),
) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]
