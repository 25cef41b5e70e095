"""The stories run where the end-to-end tests do, on the same demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import loopback_only  # noqa: F401 - a fixture

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A story alone waits for the whole demo, which takes minutes on a busy machine."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1800))
