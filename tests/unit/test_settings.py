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
