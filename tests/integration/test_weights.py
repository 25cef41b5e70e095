"""Where weights are looked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from damageloop.adapters.weights import Base, find_base, find_weights
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


def test_a_base_is_its_path_its_hash_and_its_folder(tmp_path: Path) -> None:
    (tmp_path / "base.pt").write_bytes(b"1")
    assert find_base("base.pt", [tmp_path]) == Base(
        str(tmp_path / "base.pt"), hashlib.sha256(b"1").hexdigest(), tmp_path
    )


def test_no_base_is_a_plan_that_needs_no_file() -> None:
    assert find_base("none", []) == Base("yolo11n.yaml", "none", None)
