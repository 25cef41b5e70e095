"""API keys are shown once, kept as hashes, and stop working when revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from damageloop.domain.key import KeyState, Scope, hash_of_key
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.services.serving.key_memory import MAX_KEYS, KeyMemory
from damageloop.services.serving.keys import Keys, LastAdminKeyError
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
    assert keys.authenticate(key) == made
    first = keys.revoke(made.id)
    assert keys.authenticate(key) is None
    clock.advance(days=1)
    assert keys.revoke(made.id) == first
    assert keys.authenticate(key) is None
    assert [k.id for k in keys.all()] == [made.id]


def test_revoking_an_unknown_key_says_so(keys: Keys) -> None:
    with pytest.raises(NotFoundError, match="no key 7"):
        keys.revoke(7)


@pytest.mark.parametrize(
    ("name", "scopes"), [("", [Scope.ADMIN]), ("x" * 101, [Scope.ADMIN]), ("a\x00b", [Scope.ADMIN]), ("x", [])]
)
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


def test_a_key_that_was_seen_a_moment_ago_costs_no_database(keys: Keys, units: MemoryUnits, clock: FakeClock) -> None:
    _, key = keys.create("pricing", [Scope.PREDICT])
    for _ in range(10):
        assert keys.authenticate(key) is not None
    assert units.keys.n_lookups == 1
    clock.advance(seconds=1)
    assert keys.recall(key) is None
    assert keys.authenticate(key) is not None
    assert units.keys.n_lookups == 2


def test_what_another_process_revoked_is_useless_within_a_second(
    keys: Keys, units: MemoryUnits, clock: FakeClock
) -> None:
    made, key = keys.create("pricing", [Scope.PREDICT])
    assert keys.authenticate(key) is not None
    Keys(units, clock).revoke(made.id)
    clock.advance(seconds=1)
    assert keys.authenticate(key) is None


def test_a_clock_that_was_set_back_keeps_no_key_in_memory(keys: Keys, clock: FakeClock) -> None:
    _, key = keys.create("pricing", [Scope.PREDICT])
    keys.authenticate(key)
    clock.advance(days=-1)
    assert keys.recall(key) is None


def test_a_key_ends_at_its_moment_though_it_is_in_memory(keys: Keys, clock: FakeClock) -> None:
    made, key = keys.create("pricing", [Scope.PREDICT], life=timedelta(seconds=10))
    clock.advance(seconds=9.5)
    assert keys.authenticate(key) == made
    clock.advance(seconds=0.5)
    assert keys.recall(key) == made
    assert keys.authenticate(key) is None
    assert keys.state(made) is KeyState.EXPIRED


def test_a_wrong_key_that_is_repeated_is_asked_for_once_a_second(keys: Keys, units: MemoryUnits) -> None:
    assert keys.is_unheard_of("dl_wrong")
    for _ in range(5):
        assert keys.authenticate("dl_wrong") is None
    assert units.keys.n_lookups == 1
    assert not keys.is_unheard_of("dl_wrong")
    assert keys.is_unheard_of("dl_other")


def test_memory_of_keys_is_bounded_and_strangers_push_no_key_out(clock: FakeClock) -> None:
    memory, now = KeyMemory(), clock.now()
    made, _ = Keys(MemoryUnits(), clock).create("pricing", [Scope.PREDICT])
    memory.remember("good", made, now)
    for number in range(2 * MAX_KEYS):
        memory.remember(f"stranger {number}", None, now)
    assert memory.fresh("good", now) == made
    assert not memory.is_known("stranger 0")
    for number in range(MAX_KEYS):
        memory.remember(f"key {number}", made, now)
    assert memory.fresh("good", now) is None


def test_a_hint_tells_keys_apart_and_is_no_more_than_their_beginning(keys: Keys) -> None:
    made, key = keys.create("pricing", [Scope.PREDICT])
    assert made.hint == key[:8]


def test_a_successor_takes_over_and_both_are_good_until_the_overlap_ends(keys: Keys, clock: FakeClock) -> None:
    old, old_key = keys.create("pricing", [Scope.PREDICT, Scope.REVIEW], requests_per_minute=7)
    new, new_key = keys.rotate(old.id, overlap=timedelta(hours=2))
    assert (new.name, new.scopes, new.requests_per_minute, new.expires_at) == ("pricing", old.scopes, 7, None)
    assert keys.all()[0].replaced_by == new.id
    clock.advance(hours=1.99)
    assert keys.authenticate(old_key) is not None
    clock.advance(hours=0.01)
    assert keys.authenticate(old_key) is None
    assert keys.authenticate(new_key) == new


def test_without_overlap_the_old_key_ends_at_once(keys: Keys) -> None:
    old, key = keys.create("pricing", [Scope.PREDICT])
    assert keys.authenticate(key) == old
    keys.rotate(old.id, overlap=timedelta())
    assert keys.authenticate(key) is None


def test_a_rotation_never_lengthens_the_life_of_the_old_key_and_renews_it_for_the_new(
    keys: Keys, clock: FakeClock
) -> None:
    old, _ = keys.create("pricing", [Scope.PREDICT], life=timedelta(days=10))
    clock.advance(days=9.5)
    new, _ = keys.rotate(old.id, overlap=timedelta(days=2))
    assert keys.all()[0].expires_at == old.expires_at
    assert new.expires_at == clock.now() + timedelta(days=10)


def test_only_a_good_key_without_successor_is_rotated(keys: Keys, clock: FakeClock) -> None:
    revoked, _ = keys.create("a", [Scope.PREDICT])
    keys.revoke(revoked.id)
    ended, _ = keys.create("b", [Scope.PREDICT], life=timedelta(hours=1))
    replaced, _ = keys.create("c", [Scope.PREDICT])
    keys.rotate(replaced.id)
    clock.advance(hours=2)
    for key, reason in ((revoked, "revoked"), (ended, "expired"), (replaced, "successor")):
        with pytest.raises(ConflictError, match=reason):
            keys.rotate(key.id)
    with pytest.raises(NotFoundError):
        keys.rotate(99)


def test_the_last_good_admin_key_is_not_revoked_by_mistake(keys: Keys, clock: FakeClock) -> None:
    first, _ = keys.create("admin", [Scope.ADMIN])
    second, _ = keys.create("admin", [Scope.ADMIN], life=timedelta(hours=1))
    keys.create("pricing", [Scope.PREDICT])
    clock.advance(hours=1)
    with pytest.raises(LastAdminKeyError):
        keys.revoke(first.id)
    assert keys.revoke(second.id).revoked_at is not None
    assert keys.revoke(first.id, force=True).revoked_at is not None
    assert keys.revoke(first.id).revoked_at is not None


def test_an_admin_key_may_go_once_its_successor_is_there(keys: Keys) -> None:
    first, _ = keys.create("admin", [Scope.ADMIN])
    keys.rotate(first.id)
    assert keys.revoke(first.id).revoked_at is not None


def test_every_act_is_written_down_with_who_did_it_and_without_the_key(keys: Keys, units: MemoryUnits) -> None:
    made, key = keys.create("pricing", [Scope.PREDICT], "ann")
    _, successor = keys.rotate(made.id, "bob")
    keys.revoke(made.id, "cleo")
    keys.revoke(made.id, "dan")
    acts = [(entry.actor, entry.action, entry.subject) for entry in units.audit.rows]
    subject = f"key {made.id}"
    assert acts == [("ann", "keys.create", subject), ("bob", "keys.rotate", subject), ("cleo", "keys.revoke", subject)]
    assert key not in repr(units.audit.rows)
    assert successor not in repr(units.audit.rows)


class KeptInMemory:
    def __init__(self) -> None:
        self.followed: list[tuple[str, str]] = []

    def follow(self, old_hash: str, new_key: str) -> None:
        self.followed.append((old_hash, new_key))


def test_a_key_that_the_platform_keeps_for_itself_follows_its_rotation(units: MemoryUnits, clock: FakeClock) -> None:
    kept = KeptInMemory()
    keys = Keys(units, clock, kept)
    made, key = keys.create("admin", [Scope.ADMIN])
    _, successor = keys.rotate(made.id)
    assert kept.followed == [(hash_of_key(key), successor)]


class BusyUnits(MemoryUnits):
    def __call__(self, read_only: bool = False) -> Any:
        raise UnavailableError("The database is busy.")


def test_a_busy_database_costs_only_the_note_of_the_last_use(keys: Keys, clock: FakeClock) -> None:
    made, _ = keys.create("pricing", [Scope.PREDICT])
    Keys(BusyUnits(), clock).touch(made)


@pytest.mark.parametrize("life", [timedelta(), timedelta(days=-1), timedelta(days=3651)])
def test_a_key_lives_up_to_ten_years(keys: Keys, life: timedelta) -> None:
    with pytest.raises(InvalidInputError, match="lives up to"):
        keys.create("pricing", [Scope.PREDICT], life=life)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=91)])
def test_an_overlap_is_bounded(keys: Keys, overlap: timedelta) -> None:
    made, _ = keys.create("pricing", [Scope.PREDICT])
    with pytest.raises(InvalidInputError, match="overlap"):
        keys.rotate(made.id, overlap=overlap)
