"""Why a command of the pipeline failed decides whether it is tried again."""

from __future__ import annotations

import pytest

from damageloop.adapters.run_folder import _raise_failure
from damageloop.errors import DamageloopError, UnavailableError

OTHER = "Traceback\nValueError: a box without area\nERROR: failed to reproduce 'train': exited with 1\n"


@pytest.mark.parametrize(
    ("code", "log", "was_disk_full"),
    [
        (137, OTHER, False),
        (255, "ERROR: failed to reproduce 'train': exited with -9\n", False),
        (255, "OSError: [Errno 28] No space left on device\n" + "line\n" * 20, False),
        (255, "sqlite3.OperationalError: database or disk is full\n", False),
        # A full disk takes the words too.
        (255, "epoch 1 of 2", True),
    ],
)
def test_what_time_or_space_mends_is_tried_again(code: int, log: str, was_disk_full: bool) -> None:
    with pytest.raises(UnavailableError):
        _raise_failure(code, log, "training", was_disk_full)


def test_an_error_of_the_training_itself_is_told_with_the_end_of_its_log() -> None:
    with pytest.raises(DamageloopError, match=r"The training failed: .*a box without area") as found:
        _raise_failure(255, OTHER, "training", False)
    assert not isinstance(found.value, UnavailableError)
