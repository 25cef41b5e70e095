"""API keys in both databases, and in the file that the platform keeps its own in."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from damageloop.adapters.kept_key import ADMIN_KEY, KeptKeyFile
from damageloop.adapters.secrets import Secrets
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.key import Scope, hash_of_key
from damageloop.errors import NotFoundError
from damageloop.services.serving.keys import Keys, LastAdminKeyError
from tests.fakes.clock import FakeClock
from tests.integration.databases import BOTH

DATABASES = BOTH


def test_what_was_said_of_a_key_is_remembered(units: SqlUnitOfWorkFactory, clock: FakeClock) -> None:
    keys = Keys(units, clock)
    made, key = keys.create("pricing", [Scope.REVIEW, Scope.PREDICT], life=timedelta(days=30), requests_per_minute=60)
    found = Keys(units, clock).authenticate(key)
    assert found == made
    assert found.expires_at == clock.now() + timedelta(days=30)
    assert (found.requests_per_minute, found.hint) == (60, key[:8])
    assert found.scopes == {Scope.REVIEW, Scope.PREDICT}


def test_a_rotation_and_its_audit_are_one_transaction(units: SqlUnitOfWorkFactory, clock: FakeClock) -> None:
    keys = Keys(units, clock)
    old, _ = keys.create("pricing", [Scope.PREDICT])
    new, _ = keys.rotate(old.id, "ann", timedelta(hours=1))
    found = {key.id: key for key in keys.all()}
    assert (found[old.id].replaced_by, found[old.id].expires_at) == (new.id, clock.now() + timedelta(hours=1))
    with units(read_only=True) as work:
        (entry,) = work.audit.all(action="keys.rotate")
        assert (entry.actor, entry.subject, entry.detail["successor"]) == ("ann", f"key {old.id}", new.id)
        with pytest.raises(NotFoundError, match="no key 99"):
            work.keys.get(99)


def test_of_two_that_revoke_the_last_two_admin_keys_at_once_one_is_refused(
    units: SqlUnitOfWorkFactory, clock: FakeClock
) -> None:
    keys = Keys(units, clock)
    ids = [keys.create("admin", [Scope.ADMIN])[0].id for _ in range(2)]
    both, refused = threading.Barrier(2), []

    def revoke(key_id: int) -> None:
        both.wait()
        try:
            keys.revoke(key_id)
        except LastAdminKeyError:
            refused.append(key_id)

    threads = [threading.Thread(target=revoke, args=(key_id,)) for key_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_platforms_own_key_follows_its_rotation_and_no_other(
    units: SqlUnitOfWorkFactory, clock: FakeClock, tmp_path: Path
) -> None:
    secrets = Secrets(tmp_path / "secrets")
    keys = Keys(units, clock, KeptKeyFile(secrets))
    own, key = keys.create("admin", [Scope.ADMIN])
    other, _ = keys.create("admin", [Scope.ADMIN])
    secrets.write(ADMIN_KEY, key)
    keys.rotate(other.id)
    assert secrets.read(ADMIN_KEY) == key
    _, successor = keys.rotate(own.id)
    assert secrets.read(ADMIN_KEY) == successor


def test_a_file_that_is_not_there_costs_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    KeptKeyFile(Secrets(tmp_path / "none")).follow(hash_of_key("old"), "dl_new")
    assert "not renewed" in caplog.text
    assert "dl_new" not in caplog.text
