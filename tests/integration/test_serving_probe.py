"""The probe against the real API, over a real socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import uvicorn

from api.main import create_app
from damageloop.adapters.serving_probe import HttpServingProbe
from damageloop.errors import UnavailableError
from damageloop.ports.serving import ServingReport
from tests.integration.api_world import ApiWorld


@contextmanager
def served(world: ApiWorld) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        # The application's own threads stay off: a test says when it looks for promotions.
        config = uvicorn.Config(create_app(world.services), lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def test_the_probe_reads_what_the_api_says_of_itself(world: ApiWorld) -> None:
    with served(world) as url:
        probe = HttpServingProbe(url)
        assert probe.report() == ServingReport(None, None)
        world.promote(1)
        assert probe.report() == ServingReport(1, None)
        world.promote(2)
        (world.folder / "releases" / "2" / "model.bin").write_bytes(b"damaged")
        fresh = ApiWorld(world.units, world.clock, world.folder)
        fresh.services.champion.refresh()
    with served(fresh) as url:
        report = HttpServingProbe(url).report()
    assert report.version == 1
    assert "release 2 is damaged" in str(report.problem)


def test_an_api_that_is_down_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match="does not answer"):
            HttpServingProbe(f"http://127.0.0.1:{taken.getsockname()[1]}").report()


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b"{}", b'{"champion": "seven"}'])
def test_something_else_on_the_port_is_unavailable_and_no_stack(body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(UnavailableError, match="is not this platform's API"):
            HttpServingProbe(f"http://127.0.0.1:{server.server_port}").report()
