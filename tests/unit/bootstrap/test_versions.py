"""Versions are judged by what the platform was tried with, and the locks say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from damageloop.adapters.supervisor_config import source_root
from damageloop.bootstrap import versions


def test_the_label_studio_that_doctor_wants_is_the_locked_one() -> None:
    wanted = (source_root() / "requirements" / "label-studio.in").read_text()
    assert re.search(rf"^label-studio=={re.escape(versions.LABEL_STUDIO)}$", wanted, re.MULTILINE)


@pytest.mark.parametrize(
    ("found", "is_ok"),
    [
        ("PostgreSQL 15.12 (Debian 15.12-0)", True),
        ("PostgreSQL 12.3", False),
        ("Redis 7.0.15", True),
        ("Redis 5.0.1", False),
        ("SQLite 3.46.1", True),
        # One that tells no version is not refused for that.
        ("answers", True),
    ],
)
def test_an_old_server_is_told(found: str, is_ok: bool) -> None:
    assert versions._at_least(found, versions.MIN_VERSIONS)[0] is is_ok


def test_a_distribution_that_differs_from_the_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("numpy==0.0.1 \\\n    --hash=sha256:00\nno-such-thing==1 ; python_version < '4'\n# pip==9\n")
    differing = versions._differing(lock)
    assert differing[0].startswith("numpy ")
    assert differing[0].endswith("instead of 0.0.1")
    assert differing[1:] == ["no-such-thing is missing"]
