"""Where weights are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from damageloop.adapters.weights import find_weights
from damageloop.errors import InvalidInputError, NotFoundError


def test_the_first_folder_that_has_the_file_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (second / "base.pt").write_bytes(b"2")
    assert find_weights("base.pt", [first, second]) == second / "base.pt"
    (first / "base.pt").write_bytes(b"1")
    assert find_weights("base.pt", [first, second]) == first / "base.pt"


def test_a_missing_file_is_told_with_the_folders_and_the_mend(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_weights("base.pt", [tmp_path / "mine", tmp_path / "starter"])
    sentence = str(caught.value)
    for part in (
        "base.pt",
        str(tmp_path / "mine"),
        str(tmp_path / "starter"),
        "damageloop init --download-weights",
    ):
        assert part in sentence


@pytest.mark.parametrize("name", ["", "../base.pt", "folder/base.pt", "/base.pt"])
def test_a_name_with_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        find_weights(name, [tmp_path])
