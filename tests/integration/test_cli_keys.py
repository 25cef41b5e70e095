"""`damageloop keys`: what it prints, what it asks for, and how it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from damageloop.adapters.kept_key import ADMIN_KEY
from damageloop.adapters.secrets import Secrets
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.initialise import _make_admin_key
from damageloop.cli.app import app
from damageloop.domain.key import Scope
from damageloop.errors import ConflictError, NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.keys import Keys, LastAdminKeyError
from damageloop.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.photos import PARAMS_FILE


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Path:
    folder = tmp_path / "home"
    (folder / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, folder / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(folder))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    return folder


def run(*words: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["keys", *words], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def test_a_created_key_is_printed_once_and_works(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    key = run("create", "--scope", "predict").strip()
    found = Keys(units, clock).authenticate(key)
    assert found is not None
    assert found.scopes == {Scope.PREDICT}
    assert key not in run("list")
    (listed,) = run_json("list")
    assert (listed["hint"], listed["state"], listed["expires_at"]) == (key[:8], "in_use", None)
    assert "key" not in listed


def test_a_key_is_made_as_it_was_asked_for() -> None:
    words = ("--scope", "review", "--scope", "predict", "--name", "ann", "--expires-days", "2")
    made = run_json("create", *words, "--requests-per-minute", "90")
    assert (made["name"], made["scopes"], made["requests_per_minute"]) == ("ann", ["predict", "review"], 90)
    assert made["expires_at"] is not None


def test_a_rotated_key_names_its_successor() -> None:
    old = run_json("create", "--scope", "predict")
    new = run_json("rotate", str(old["id"]), "--overlap-hours", "0")
    listed = run_json("list")
    assert (listed[0]["replaced_by"], listed[0]["state"], listed[1]["state"]) == (new["id"], "expired", "in_use")
    assert new["key"] != old["key"]
    with pytest.raises(ConflictError, match="successor"):
        run("rotate", str(old["id"]))


def test_the_last_admin_key_wants_force() -> None:
    made = run_json("create", "--scope", "admin")
    with pytest.raises(LastAdminKeyError):
        run("revoke", str(made["id"]))
    assert run_json("revoke", str(made["id"]), "--force")["state"] == "revoked"
    with pytest.raises(NotFoundError):
        run("revoke", "99")


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", "--scope", "root"),
        ("create", "--scope", "predict", "--expires-days", "0"),
        ("create", "--scope", "predict", "--requests-per-minute", "0"),
        ("rotate", "1", "--overlap-hours", "-1"),
        ("revoke", "first"),
    ],
)
def test_wrong_use_ends_with_two(words: tuple[str, ...]) -> None:
    run(*words, exit_code=2)


def test_the_platforms_own_key_is_renewed_where_it_is_kept(home: Path) -> None:
    secrets, core = Secrets(home / "secrets"), Core(Settings())
    _make_admin_key(core)
    first = secrets.read(ADMIN_KEY)
    _make_admin_key(core)
    assert secrets.read(ADMIN_KEY) == first
    successor = run_json("rotate", "1", "--overlap-hours", "0")
    assert secrets.read(ADMIN_KEY) == successor["key"]
    _make_admin_key(core)
    assert secrets.read(ADMIN_KEY) == successor["key"]


def test_init_replaces_a_platforms_own_key_that_was_revoked_and_knows_one_from_before_a_restore(home: Path) -> None:
    secrets, core = Secrets(home / "secrets"), Core(Settings())
    _make_admin_key(core)
    first = secrets.read(ADMIN_KEY)
    run("revoke", "1", "--force")
    _make_admin_key(core)
    assert secrets.read(ADMIN_KEY) != first
    secrets.write(ADMIN_KEY, "dl_from_before")
    _make_admin_key(core)
    assert secrets.read(ADMIN_KEY) == "dl_from_before"
    assert Keys(core.units, core.clock).authenticate("dl_from_before") is not None
