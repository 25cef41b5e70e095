"""One small demo for all tests of the whole platform: made once, copied at rest, then started again to be looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform_under_test import PlatformUnderTest

SEED = 1


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> PlatformUnderTest:
    """A finished small demo, at rest."""
    platform = PlatformUnderTest(tmp_path_factory.mktemp("e2e") / "var")
    done = platform.run("samples.demo", "--size", "small", "--seed", str(SEED), timeout_s=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return platform


@pytest.fixture(scope="session")
def result(small_demo: PlatformUnderTest) -> dict[str, Any]:
    """The demo's result file."""
    content: dict[str, Any] = json.loads((small_demo.home / "demo" / "result.json").read_text())
    return content


@pytest.fixture(scope="session")
def saved_home(small_demo: PlatformUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's home, made before anything else touches it."""
    copy = tmp_path_factory.mktemp("saved") / "var"
    shutil.copytree(small_demo.home, copy, symlinks=True, ignore=shutil.ignore_patterns("run", "runs"))
    return copy


@pytest.fixture(scope="session")
def live(small_demo: PlatformUnderTest, saved_home: Path) -> Iterator[PlatformUnderTest]:
    """The demo's platform, running as `make up` leaves it."""
    small_demo.command("up")
    yield small_demo
    small_demo.command("down")


@pytest.fixture
def copied(saved_home: Path, tmp_path: Path) -> Iterator[PlatformUnderTest]:
    """A platform in a fresh copy of the saved home; stopped at the end whatever happens."""
    home = tmp_path / "var"
    shutil.copytree(saved_home, home, symlinks=True)
    platform = PlatformUnderTest(home)
    yield platform
    platform.command("down")
