"""`damageloop rounds` and `damageloop images`: what they print and what they ask for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from damageloop.cli.app import app
from damageloop.domain.round import RoundKind, RoundState, Share
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT, add_image, make_annotation, make_item
from tests.fakes.photos import PARAMS_FILE


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, units: UnitOfWorkFactory) -> None:
    """An installation with three images: 1 reviewed and 2 waiting in round 1, 3 free."""
    folder = tmp_path / "home"
    (folder / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, folder / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(folder))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    with units() as work:
        for number in (1, 2, 3):
            add_image(work, number)
        items = [make_item(1, 0), make_item(2, 1, Share.EXPLORED)]
        work.rounds.add(1, RoundKind.QUERY, "random", None, 1, MOMENT, items, "random in place of entropy: a reason")
        work.rounds.set_tasks(1, {1: 11, 2: 12})
        work.rounds.set_state(1, RoundState.OPEN, MOMENT)
        work.annotations.upsert(make_annotation(1))
        work.rounds.mark_reviewed("label-studio")
        work.commit()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


@pytest.mark.parametrize("words", [("rounds",), ("rounds", "list")])
def test_rounds_are_listed_with_their_counts_and_their_note(words: tuple[str, ...]) -> None:
    (listed,) = run_json(*words)
    assert (listed["id"], listed["state"], listed["strategy"]) == (1, "open", "random")
    assert listed["items"] == {"reviewed": 1, "sent": 1}
    assert listed["note"] == "random in place of entropy: a reason"
    assert "entropy: a reason" in run(*words)


def test_a_round_is_shown_for_programs_and_for_people() -> None:
    shown = run_json("rounds", "show", "1")
    assert shown["by_share"] == {"chosen": {"reviewed": 1}, "explored": {"sent": 1}}
    assert shown["annotators"] == [{"annotator": "ann@example.org", "reviewed": 1, "median_seconds": 12.5}]
    assert "Round 1: query, open, chosen by random" in run("rounds", "show", "1")


def test_a_round_is_opened_and_closed_by_a_job() -> None:
    assert run_json("rounds", "close", "1")["key"] == "close_round:1"
    opened = run_json("rounds", "open", "--strategy", "coreset", "--query-size", "5")
    assert (opened["key"], opened["state"]) == ("open_round:2:asked", "queued")
    refused = CliRunner().invoke(app, ["rounds", "open", "--image", "3"])
    assert "being opened" in str(refused.exception)


def test_images_are_asked_for() -> None:
    assert run_json("images", "pin", "3", "--reason", "a new bumper")["kind"] == "pin"
    assert run_json("images", "skip", "3", "--reason", "a screenshot")["kind"] == "skip"
    assert "sent back by" in run("images", "send-back", "1", "--reason", "a reflection")
    assert "waits for a second opinion" in run("images", "opinion", "1", "--reason", "an odd one")


def test_a_reason_is_always_given() -> None:
    assert CliRunner().invoke(app, ["images", "pin", "3"]).exit_code == 2


def test_items_are_listed_with_the_rule_and_the_reason_of_each() -> None:
    found = run_json("rounds", "items", "1")
    assert [(item["image_id"], item["share"], item["state"]) for item in found] == [
        (1, "chosen", "reviewed"),
        (2, "explored", "sent"),
    ]
    assert all(item["reason"] for item in found)
    assert "the first 1" in run("rounds", "items", "1", "--limit", "1")
