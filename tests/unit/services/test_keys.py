"""API keys are shown once, kept as hashes, and stop working when revoked."""

from __future__ import annotations

import pytest

from damageloop.domain.key import Scope, hash_of_key
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.services.serving.keys import Keys
from tests.fakes.clock import FakeClock
from tests.fakes.memory_units import MemoryUnits


@pytest.fixture
def units() -> MemoryUnits:
    return MemoryUnits()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keys(units: MemoryUnits, clock: FakeClock) -> Keys:
    return Keys(units, clock)


def test_a_made_key_authenticates_and_only_its_hash_is_kept(keys: Keys, units: MemoryUnits) -> None:
    made, key = keys.create("pricing", [Scope.PREDICT])
    assert keys.authenticate(key) == made
    assert key not in repr(units.keys.rows)
    assert hash_of_key(key) not in repr(made)


def test_an_unknown_key_and_a_hash_do_not_authenticate(keys: Keys) -> None:
    _, key = keys.create("pricing", [Scope.PREDICT])
    for wrong in ("", key[:-1], key + "x", hash_of_key(key)):
        assert keys.authenticate(wrong) is None


def test_a_revoked_key_is_useless_for_ever_and_keeps_its_first_date(keys: Keys, clock: FakeClock) -> None:
    made, key = keys.create("pricing", [Scope.PREDICT])
    first = keys.revoke(made.id)
    clock.advance(days=1)
    assert keys.revoke(made.id) == first
    assert keys.authenticate(key) is None
    assert [k.id for k in keys.all()] == [made.id]


def test_revoking_an_unknown_key_says_so(keys: Keys) -> None:
    with pytest.raises(NotFoundError, match="no key 7"):
        keys.revoke(7)


@pytest.mark.parametrize(("name", "scopes"), [("", [Scope.ADMIN]), ("x" * 101, [Scope.ADMIN]), ("x", [])])
def test_a_key_needs_a_name_and_a_scope(keys: Keys, name: str, scopes: list[Scope]) -> None:
    with pytest.raises(InvalidInputError):
        keys.create(name, scopes)


def test_last_use_is_written_at_most_once_a_minute(keys: Keys, units: MemoryUnits, clock: FakeClock) -> None:
    made, _ = keys.create("pricing", [Scope.PREDICT])
    for _ in range(3):
        keys.touch(made)
        clock.advance(seconds=29)
    assert units.keys.n_touches == 1
    clock.advance(seconds=29)
    keys.touch(made)
    assert units.keys.n_touches == 2


def test_admin_covers_every_scope_and_others_only_their_own(keys: Keys) -> None:
    admin, _ = keys.create("admin", [Scope.ADMIN])
    pricing, _ = keys.create("pricing", [Scope.PREDICT])
    assert all(admin.allows(scope) for scope in Scope)
    assert [scope for scope in Scope if pricing.allows(scope)] == [Scope.PREDICT]
