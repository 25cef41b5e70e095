"""Settings: what the environment may say, and that a sentence names what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from damageloop.errors import InvalidInputError
from damageloop.settings import Settings


def test_a_value_that_does_not_fit_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMAGELOOP_API_PORT", "eight thousand")
    with pytest.raises(InvalidInputError, match=r"^DAMAGELOOP_API_PORT: .*integer"):
        Settings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMAGELOOP_API_PORT", "")
    assert Settings(home=Path("elsewhere")).api_port == 8000


def test_both_surfaces_have_one_address_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(api_port=8123).operations_url == "http://localhost:8123"
    monkeypatch.setenv("DAMAGELOOP_API_URL", "http://api.example")
    assert Settings().operations_url == "http://api.example"
    monkeypatch.setenv("DAMAGELOOP_OPERATIONS_URL", "http://operations.example")
    assert (Settings().api_url, Settings().operations_url) == ("http://api.example", "http://operations.example")


def test_a_surface_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMAGELOOP_API_SURFACE", "everything")
    with pytest.raises(InvalidInputError, match=r"^DAMAGELOOP_API_SURFACE"):
        Settings()


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("", "home/images"),
        ("/photos", "/photos"),
        ("file:///photos", "/photos"),
        ("s3://bucket/photos", None),
        ("memory://photos", None),
    ],
)
def test_images_have_a_folder_unless_they_lie_in_a_bucket(url: str, folder: str | None) -> None:
    found = Settings(home=Path("home"), image_store_url=url).image_folder
    assert found == (None if folder is None else Path(folder).absolute())
