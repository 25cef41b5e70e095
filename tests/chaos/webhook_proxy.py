"""Stands between Label Studio and the API on the webhook's way: passes events on, drops, doubles or delays them."""

from __future__ import annotations

import threading
from collections import Counter
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

_HOP_BY_HOP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


class Mode(StrEnum):
    """What happens to an event."""

    PASS = "pass"
    DROP = "drop"
    DOUBLE = "double"
    DELAY = "delay"


class WebhookProxy:
    """A server on the loopback address. `counts` tells how many events each mode has seen."""

    def __init__(self, target_url: str) -> None:
        self.mode = Mode.PASS
        self.delay_s = 0.0
        self.counts: Counter[str] = Counter()
        self._target = target_url
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_address[1]}/v1/webhooks/label-studio"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Do with an event what the mode says."""
        self.counts[self.mode] += 1
        if self.mode is Mode.DELAY:
            timer = threading.Timer(self.delay_s, self._forward, (body, headers))
            timer.daemon = True
            timer.start()
        elif self.mode is not Mode.DROP:
            for _ in range(2 if self.mode is Mode.DOUBLE else 1):
                self._forward(body, headers)

    def _forward(self, body: bytes, headers: dict[str, str]) -> None:
        try:
            httpx.post(self._target, content=body, headers=headers, timeout=1.0, trust_env=False)
        except httpx.HTTPError:
            # As for Label Studio itself: an event is sent once.
            self.counts["lost"] += 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                proxy.take(body, kept)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
