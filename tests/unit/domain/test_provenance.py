"""What is told when a training runs on something else than its snapshot was made with."""

from __future__ import annotations

from damageloop.domain.provenance import differences

RECORDED = {"code_revision": "a" * 40, "lock_hash": "b" * 64, "base": "tiny.pt", "base_sha256": "c" * 64}


def test_the_same_code_libraries_and_base_are_no_difference() -> None:
    assert differences(RECORDED, RECORDED) == ()


def test_each_difference_is_told_with_both_sides() -> None:
    running = {**RECORDED, "code_revision": "d" * 40, "base_sha256": "e" * 64}
    assert differences(RECORDED, running) == (
        f"the code is {'d' * 32}, the snapshot was made with {'a' * 32}",
        f"the base weights file is {'e' * 32}, the snapshot was made with {'c' * 32}",
    )


def test_what_one_side_does_not_say_is_no_difference() -> None:
    assert differences({}, RECORDED) == ()
    assert differences(RECORDED, {"code_revision": ""}) == ()
