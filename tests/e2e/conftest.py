"""What holds for all tests of the whole platform: no network, and patience."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the whole demo, which takes minutes on a busy machine."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> None:
    """Nothing may call home: these tests run where only the loopback interface exists (scripts/loopback-only.sh)."""
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    up = [name for name in others if psutil.net_if_stats().get(name) and psutil.net_if_stats()[name].isup]
    assert not up, f"Run these tests through scripts/loopback-only.sh: {up} could reach a network."
