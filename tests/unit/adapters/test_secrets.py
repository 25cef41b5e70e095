"""Secrets stay the owner's. Writes a few bytes below tmp_path: permissions are what is tested."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from damageloop.adapters.secrets import Secrets
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(folder: Path) -> None:
    first = Secrets(folder).ensure("webhook")
    assert Secrets(folder).ensure("webhook") == first == Secrets(folder).read("webhook")
    assert len(first) >= 43
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "webhook").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["webhook"]


def test_two_secrets_differ(folder: Path) -> None:
    assert Secrets(folder).ensure("one") != Secrets(folder).ensure("two")


def test_callers_at_once_get_the_same_secret(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(lambda _: Secrets(folder).ensure("webhook"), range(24)))
    assert len(values) == 1
    assert [path.name for path in folder.iterdir()] == ["webhook"]


def test_a_secret_from_elsewhere_takes_the_place_of_the_earlier(folder: Path) -> None:
    secrets = Secrets(folder)
    secrets.write("token", "first")
    secrets.write("token", "second")
    assert secrets.ensure("token") == "second"


@pytest.mark.parametrize(("target", "mode"), [("webhook", 0o640), ("webhook", 0o604), (".", 0o755)])
def test_a_secret_that_others_may_read_is_refused(folder: Path, target: str, mode: int) -> None:
    secrets = Secrets(folder)
    secrets.ensure("webhook")
    (folder / target).chmod(mode)
    with pytest.raises(ConflictError, match="may be read by others"):
        secrets.read("webhook")
    with pytest.raises(ConflictError):
        secrets.ensure("webhook")


def test_a_missing_secret_is_named(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="'webhook'"):
        Secrets(folder).read("webhook")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden"])
def test_a_name_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidInputError):
        Secrets(folder).ensure(name)
